"""Layered: a map that is never changed, and of which a changed copy shares most."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")

_GONE: Final[Any] = object()  # the value of a key that a layer takes away
_FEW = 64


class Layered(Mapping[Key, Value]):
    """A map in three layers, of which an upper one says what has changed since: to change it copies the smallest.

    That one grows up to about the square root of the one below, so that a change costs as much, whatever has been
    changed before. The lowest is that of the `origin`.
    """

    __slots__ = ("_large", "_small", "origin")

    def __init__(self, origin: Mapping[Key, Value], large: Mapping[Key, Any], small: Mapping[Key, Any]) -> None:
        self.origin, self._large, self._small = origin, large, small

    @classmethod
    def of(cls, origin: Mapping[Key, Value] | None = None) -> Layered[Key, Value]:
        """Make a map of these entries, in which nothing has changed yet."""
        return cls(origin or {}, {}, {})

    def change(self, entries: Mapping[Key, Value | None]) -> Layered[Key, Value]:
        """Return the map with other values of some keys; None: without the key."""
        small = {**self._small, **{key: _GONE if value is None else value for key, value in entries.items()}}
        if len(small) > _FEW and len(small) ** 2 > len(self._large):
            return Layered(self.origin, {**self._large, **small}, {})
        return Layered(self.origin, self._large, small)

    def get(self, key: Any, default: Any = None) -> Any:
        """Return the value of a key, or the default."""
        for layer in (self._small, self._large):
            if (value := layer.get(key)) is not None:
                return default if value is _GONE else value
        return self.origin.get(key, default)

    def __getitem__(self, key: Key) -> Value:
        value: Value | None = self.get(key)
        if value is None:
            raise KeyError(key)
        return value

    def __contains__(self, key: object) -> bool:
        return self.get(key) is not None

    def __bool__(self) -> bool:
        return bool(self.origin) or bool(self._large) or bool(self._small)

    def __iter__(self) -> Iterator[Key]:
        keys = dict.fromkeys([*self.origin, *self._large, *self._small])
        return (key for key in keys if key in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def layered(entries: Mapping[Key, Value]) -> Layered[Key, Value]:
    """Return a map as one that can be changed."""
    return entries if isinstance(entries, Layered) else Layered.of(entries)
