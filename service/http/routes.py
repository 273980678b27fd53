"""Routes: which one a path is; a look into a dict for most, and for those with a part that varies a second one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


class Routes:
    """The routes of an application; a part in braces stands for any one part of a path."""

    def __init__(self, routes: Iterable[str]) -> None:
        self._plain = set(routes)
        patterns = [tuple(route.split("/")) for route in self._plain if "{" in route]
        self._lengths = {len(pattern) for pattern in patterns}
        self._by_shape = {_shape(pattern): "/".join(pattern) for pattern in patterns}
        self._masks = {tuple(part.startswith("{") for part in pattern) for pattern in patterns}

    def of(self, path: str) -> str | None:
        """Return the route that a path is; None: it is none."""
        if path in self._plain:
            return path
        parts = path.split("/")
        if len(parts) not in self._lengths:
            return None
        for mask in self._masks:
            if len(mask) == len(parts):
                shape = tuple("{" if varies else part for part, varies in zip(parts, mask, strict=True))
                if (route := self._by_shape.get(shape)) is not None:
                    return route
        return None


def parts_of(route: str, path: str) -> Mapping[str, str]:
    """Return the parts of a path that vary, by their names in the route that it begins with."""
    pairs = zip(route.split("/"), path.split("/"), strict=False)
    return {name[1:-1]: part for name, part in pairs if name.startswith("{")}


def _shape(pattern: tuple[str, ...]) -> tuple[str, ...]:
    return tuple("{" if part.startswith("{") else part for part in pattern)
