"""The kinds of sources that a table may come from, as one union: what is declared picks its kind by its key."""

from collections.abc import Mapping
from typing import Annotated, Any, get_args

from pydantic import BeforeValidator, ValidationError
from pydantic_core import InitErrorDetails

from ml.declaration.part import unknown_key
from ml.declaration.sources.file import FileSource
from ml.declaration.sources.kind import SourceKind
from ml.declaration.sources.python import PythonSource
from ml.declaration.sources.query import QuerySource

_Kind = (
    PythonSource
    | FileSource
    | QuerySource
)  # fmt: skip
_KINDS: dict[str, type[SourceKind]] = {kind.key: kind for kind in get_args(_Kind)}


def _of_its_kind(value: Any) -> SourceKind:
    """Return the source that is declared, checked. Raises ValueError unless exactly one kind has its key there."""
    if isinstance(value, SourceKind):
        return value
    declared = value if isinstance(value, Mapping) else {}
    named = [key for key in _KINDS if declared.get(key) is not None]
    if len(named) != 1:
        _refuse_unknown_keys(declared)
        *others, last = _KINDS
        raise ValueError(f"a source needs exactly one of {', '.join(others)} or {last}; given: {named or 'none'}")
    return _KINDS[named[0]].model_validate(declared)


def _refuse_unknown_keys(declared: Mapping[str, Any]) -> None:
    allowed = {name for kind in _KINDS.values() for name in kind.model_fields}
    wrong = [
        InitErrorDetails(type="value_error", loc=(name,), input=text, ctx={"error": unknown_key(name, allowed)})
        for name, text in declared.items()
        if name not in allowed
    ]
    if wrong:
        raise ValidationError.from_exception_data("Source", wrong)


Source = Annotated[_Kind, BeforeValidator(_of_its_kind)]
