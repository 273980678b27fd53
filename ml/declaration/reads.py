"""Parts of a declaration: which ones something reads, what they say, and a declaration of these parts alone."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, TypeAlias

from ml.base.hashing import hash_json
from ml.declaration.part import Part

Path: TypeAlias = tuple[str, ...]
Fact: TypeAlias = Callable[[Mapping[str, Any]], Mapping[str, Any]]
ANY = "*"  # in a path, any one name
APART = ("seed", "reuse", "production")
_ABSENT = object()


@dataclass(frozen=True)
class Reads:
    """The parts of a declaration that something reads, as dotted paths such as `examples.split` or `tables.*.key`.

    Those that are `deciding` decide its result. What lies inside of these and is not read is named in `without`. What
    is read and decides nothing, such as the number of processes, is `beside`. Of a part that decides only by some
    fact that follows from it, `facts` give that: by name, what the resolved declaration says. A name with dots in it is
    one element of a path that is given as a tuple.
    """

    deciding: tuple[str | Path, ...] = ()
    without: tuple[str | Path, ...] = ()
    beside: tuple[str | Path, ...] = ()
    facts: tuple[Fact, ...] = ()

    def and_also(self, other: "Reads") -> "Reads":
        """Return the parts of both: what only one of them leaves out is read, and what one decides by decides.

        Raises ValueError where one leaves out, or reads beside, a part inside of which the other decides by some.
        """
        shared = tuple(path for path in self.without if path in other.without)
        without, beside = list[str | Path](), list[str | Path]()
        for one, two in ((self, other), (other, self)):
            without += [path for path in one.without if path not in shared and not two.decides_by(path)]
            beside += [path for path in one.beside if not two.decides_by(path)]
        deciding, facts = self.deciding + other.deciding, self.facts + other.facts
        return Reads(deciding, (*shared, *without), tuple(beside), facts)

    def decides_by(self, path: str | Path) -> bool:
        """Return whether a whole part is deciding; raises ValueError if only some inside of it is."""
        part = _path(path)
        if any(_covers(_path(deciding), part) for deciding in self.deciding):
            return True
        if inside := [".".join(_path(deciding)) for deciding in self.deciding if _lies_in(_path(deciding), part)]:
            raise ValueError(
                f"{'.'.join(part)} does not decide here, and {inside} do there; name what lies beside them"
            )
        return False

    def but_for(self, *paths: str | Path) -> "Reads":
        """Return the parts without these."""
        return replace(self, without=(*self.without, *paths))

    def decide(self, declared: Mapping[str, Any]) -> dict[str, Any]:
        """Return the deciding parts of a resolved declaration, as JSON values."""
        selection = _Selection(tuple(map(_path, self.deciding)), tuple(map(_path, (*self.without, *self.beside))))
        selected = _selected(declared, (), selection)
        facts = {name: value for fact in self.facts for name, value in fact(declared).items()}
        return ({} if selected is _ABSENT else dict(selected)) | facts

    def coordinate(self, declared: Mapping[str, Any]) -> dict[str, Any]:
        """Return the config coordinate: the hash of what the deciding parts say, which parts, and the whole `value`.

        The whole is what a reproduction runs by. Left out of it are the seed, a coordinate of its own, and `reuse` and
        `production`, which decide no result but that of the promotion.
        """
        value = {name: part for name, part in declared.items() if name not in APART}
        return {"hash": hash_json(self.decide(declared)), "reads": self.paths(), "value": value}

    def paths(self) -> list[str]:
        """Return the deciding paths as texts, those that are left out with a minus before them."""
        without = (*self.without, *self.beside)
        return [".".join(_path(path)) for path in self.deciding] + [f"-{'.'.join(_path(path))}" for path in without]


@dataclass(frozen=True)
class _Selection:
    """Paths that are in a selection, and paths inside of these that are not."""

    included: tuple[Path, ...]
    excluded: tuple[Path, ...]

    def of(self, path: Path) -> bool | None:
        """Return whether a path is selected: True wholly, False not at all, None in part."""
        if any(_covers(other, path) for other in self.excluded):
            return False
        whole = any(_covers(other, path) for other in self.included)
        if any(_lies_in(other, path) for other in (*self.excluded, *(() if whole else self.included))):
            return None
        return whole


def view(declared: Part, reads: Reads) -> Any:
    """Return a declaration, of the same class, that has only the parts that `reads` names.

    To ask it for any other raises UnreadPartError.
    """
    included = tuple(map(_path, (*reads.deciding, *reads.beside)))
    return _selected(declared, (), _Selection(included, tuple(map(_path, reads.without))))


def changed(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    """Return the parts that differ, sorted, each as `evaluation.slices` and the like."""
    names = list[str]()
    for name in first.keys() | second.keys():
        one, other = first.get(name), second.get(name)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            names += [f"{name}.{inner}" for inner in changed(one, other)]
        elif one != other:
            names.append(name)
    return sorted(names)


def modules_of(declared: Any) -> set[str]:
    """Return the modules of the classes that a declaration's parts are of, its own class left out."""
    return {type(part).__module__ for value in _values(declared) for part in _parts(value)}


def _parts(value: Any) -> Iterator[Part]:
    if isinstance(value, Part):
        yield value
    for inner in _values(value):
        yield from _parts(inner)


def _values(value: Any) -> Iterator[Any]:
    if isinstance(value, Part):
        yield from vars(value).values()
        yield from (value.model_extra or {}).values()
    elif isinstance(value, Mapping):
        yield from value.values()
    elif isinstance(value, list | tuple):
        yield from value


def _selected(value: Any, path: Path, selection: _Selection) -> Any:
    """Return the selected parts of a model or of its JSON value; _ABSENT where there are none."""
    if (whole := selection.of(path)) is not None:
        return value if whole else _ABSENT
    if isinstance(value, Part):
        return _partial(value, path, selection)
    if not isinstance(value, Mapping):
        return value  # has no parts
    return _present(_each_selected(value, path, selection)) or _ABSENT


def _partial(part: Part, path: Path, selection: _Selection) -> Part:
    partial, extra = part.model_copy(), part.model_extra
    fields = {name: value for name, value in vars(part).items() if name in type(part).model_fields}
    vars(partial).clear()
    vars(partial).update(_present(_each_selected(fields, path, selection)))
    if extra is not None:
        object.__setattr__(partial, "__pydantic_extra__", _present(_each_selected(extra, path, selection)))
    return partial


def _each_selected(values: Mapping[str, Any], path: Path, selection: _Selection) -> dict[str, Any]:
    return {str(name): _selected(value, (*path, str(name)), selection) for name, value in values.items()}


def _present(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not _ABSENT}


def _path(path: str | Path) -> Path:
    return tuple(path.split(".")) if isinstance(path, str) else path


@lru_cache(maxsize=1 << 16)  # a run asks the same ten thousand times
def _covers(pattern: Path, path: Path) -> bool:
    """Return whether a path is the pattern's, or lies inside of it."""
    return len(pattern) <= len(path) and all(one in (ANY, other) for one, other in zip(pattern, path, strict=False))


@lru_cache(maxsize=1 << 16)
def _lies_in(pattern: Path, path: Path) -> bool:
    """Return whether the pattern lies inside of a path."""
    return len(pattern) > len(path) and all(one in (ANY, other) for one, other in zip(pattern, path, strict=False))
