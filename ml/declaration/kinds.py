"""Kinds of a part: each a model of its own, of which the keys that are declared pick one."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from pydantic import (
    SerializationInfo,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)
from pydantic_core import InitErrorDetails

from ml.declaration.part import Part, unknown_key


class Kind(Part):
    """One kind of a part; `keys` are the fields that it must have and no other kind has."""

    keys: ClassVar[tuple[str, ...]]
    recorded: ClassVar[tuple[str, ...]] = ()
    """The fields that a recorded declaration has whatever the kind, for it was one model before there were kinds."""

    unsaid: ClassVar[tuple[str, ...]] = ()
    """The fields that are recorded only where they say something: so a record from before there were any is equal."""

    @model_validator(mode="before")
    @classmethod
    def _without_keys_of_others(cls, value: Any) -> Any:
        """Drop keys that say nothing, as a recorded declaration has those of other kinds."""
        return present(value) if isinstance(value, Mapping) else value

    @model_serializer(mode="wrap")
    def _recorded(self, handler: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        """Add the keys of other kinds that are always recorded, as nulls: so an old declaration and a new are equal."""
        fields = {name: value for name, value in handler(self).items() if value is not None or name not in self.unsaid}
        if info.exclude_none or info.exclude_defaults:
            return {name: fields[name] for name in (*self.recorded, *fields) if name in fields}
        return {**dict.fromkeys(self.recorded), **fields}


def present(declared: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that say something."""
    return {name: value for name, value in declared.items() if value is not None}


def refuse_unknown_keys(title: str, declared: Mapping[str, Any], kinds: Iterable[type[Kind]]) -> None:
    """Raise ValidationError, at the place of each, for keys that no kind has."""
    allowed = {name for kind in kinds for name in kind.model_fields}
    wrong = [
        InitErrorDetails(type="value_error", loc=(name,), input=value, ctx={"error": unknown_key(name, allowed)})
        for name, value in declared.items()
        if name not in allowed
    ]
    if wrong:
        raise ValidationError.from_exception_data(title, wrong)
