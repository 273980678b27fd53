"""The kinds of splits that examples may be divided by: a new one is a file, and a line here."""

from collections.abc import Mapping
from typing import Annotated, Any, get_args

from pydantic import BeforeValidator

from ml.declaration.kinds import present, refuse_unknown_keys
from ml.declaration.splits.column import ColumnSplit
from ml.declaration.splits.dates import DatesSplit
from ml.declaration.splits.kind import SplitKind
from ml.declaration.splits.shares import SharesSplit

_Kind = (
    DatesSplit
    | SharesSplit
    | ColumnSplit
)  # fmt: skip
_KINDS: tuple[type[SplitKind], ...] = get_args(_Kind)


def _of_its_kind(value: Any) -> SplitKind:
    """Return the split that is declared, checked. Raises ValueError unless it has the keys of exactly one kind."""
    if isinstance(value, SplitKind):
        return value
    declared = present(value) if isinstance(value, Mapping) else {}
    named = [kind for kind in _KINDS if declared.keys() >= set(kind.keys)]
    if len(named) != 1:
        refuse_unknown_keys("Split", declared, _KINDS)
        raise ValueError(f"a split needs {', or '.join(' and '.join(kind.keys) for kind in _KINDS)}")
    for other in _KINDS:
        for name in declared.keys() & other.model_fields.keys() - named[0].model_fields.keys():
            raise ValueError(f"{name} belongs to a split by {' and '.join(other.keys)}")
    return named[0].model_validate(declared)


Split = Annotated[_Kind, BeforeValidator(_of_its_kind)]
