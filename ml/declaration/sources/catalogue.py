"""The kinds of sources that a table may come from: a new one is a file, and a line here."""

from collections.abc import Mapping
from typing import Annotated, Any, get_args

from pydantic import BeforeValidator

from ml.declaration.kinds import refuse_unknown_keys
from ml.declaration.sources.delta import DeltaSource
from ml.declaration.sources.file import FileSource
from ml.declaration.sources.files import FilesSource
from ml.declaration.sources.iceberg import IcebergSource
from ml.declaration.sources.kind import SourceKind
from ml.declaration.sources.python import PythonSource
from ml.declaration.sources.query import QuerySource

_Kind = (
    PythonSource
    | FileSource
    | FilesSource
    | QuerySource
    | DeltaSource
    | IcebergSource
)  # fmt: skip
_KINDS: dict[str, type[SourceKind]] = {kind.keys[0]: kind for kind in get_args(_Kind)}


def _of_its_kind(value: Any) -> SourceKind:
    """Return the source that is declared, checked. Raises ValueError unless exactly one kind has its key there."""
    if isinstance(value, SourceKind):
        return value
    declared = value if isinstance(value, Mapping) else {}
    named = [key for key in _KINDS if declared.get(key) is not None]
    if len(named) != 1:
        refuse_unknown_keys("Source", declared, _KINDS.values())
        *others, last = _KINDS
        raise ValueError(f"a source needs exactly one of {', '.join(others)} or {last}; given: {named or 'none'}")
    return _KINDS[named[0]].model_validate(declared)


Source = Annotated[_Kind, BeforeValidator(_of_its_kind)]
