"""What every kind of source has: the key that a declaration picks it by, and how its rows are read."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import SerializerFunctionWrapHandler, model_serializer, model_validator

from ml.declaration.part import Part

if TYPE_CHECKING:
    import pandas as pd

_RECORDED = ("python", "path", "query", "url")


class SourceKind(Part):
    """Where the rows of a table come from, in one way; `key` is the field that only this kind has."""

    key: ClassVar[str]

    @property
    def named(self) -> str:
        """The text that the declaration has under the kind's key."""
        return str(getattr(self, self.key))

    @property
    def module(self) -> str | None:
        """The module whose code decides the rows, if one does."""
        return None

    @abstractmethod
    def read(self) -> pd.DataFrame:
        """Return the rows as they are. Raises DataError where a mistake in the declaration is the cause."""

    @model_validator(mode="before")
    @classmethod
    def _without_keys_of_others(cls, value: Any) -> Any:
        """Drop keys that say nothing, for a recorded declaration has those of other kinds too, as nulls."""
        return {name: text for name, text in value.items() if text is not None} if isinstance(value, Mapping) else value

    @model_serializer(mode="wrap")
    def _recorded(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Add the keys that every recorded declaration has had, as nulls: so an old one and a new one are equal."""
        return {**dict.fromkeys(_RECORDED), **handler(self)}
