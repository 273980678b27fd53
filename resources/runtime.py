"""The packages of a Bento: the closure of what its model needs, each pinned, with the hashes of its files."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from service.plan.reading import read_plan

ALWAYS = ("anyio", "bentoml", "httptools", "msgspec", "numpy", "prometheus-client", "starlette", "uvicorn", "uvloop")
#: What a declaration may ask for beyond what its model needs, as `bento: {extras: [...]}`.
EXTRAS = {
    "arrow": ("pyarrow",),
    "gpu": ("onnxruntime-gpu",),
    "grpc": ("grpcio", "protobuf"),
    "postgres": ("psycopg2-binary",),
}
LOCK = Path(__file__).with_suffix(".lock")
# Builds of one release for different machines: they need the same packages, and one of them is installed here.
_BUILDS = {"onnxruntime": "onnxruntime-gpu", "onnxruntime-gpu": "onnxruntime"}
_PIN = re.compile(r"^(?P<pin>[\w.-]+==\S+)(?P<hashes>(?: \\\n +--hash=\S+)+)$", re.MULTILINE)


class MissingPackageError(RuntimeError):
    """A package that a Bento needs is not installed here, so that nobody knows its version or needs."""


@dataclass(frozen=True)
class Requirements:
    """Pins of all packages of an environment, as `name==version`, sorted; `unknown` are those without known hashes.

    pip checks the hashes of all packages or of none: there are hashes where those of all are known.
    """

    pins: Sequence[str]
    hashes: Mapping[str, Sequence[str]]

    @property
    def unknown(self) -> list[str]:
        """The pins whose files have no known hashes."""
        return [pin for pin in self.pins if pin not in self.hashes]

    def text(self) -> str:
        """Return the lines of a file for `pip install -r`."""
        if self.unknown:
            return "".join(
                f"{line}\n" for line in (f"# without hashes: {LOCK.name} has none of {self.unknown}", *self.pins)
            )
        return "".join(" \\\n    --hash=".join((pin, *self.hashes[pin])) + "\n" for pin in self.pins)


def requirements(plan: bytes, extras: Collection[str] = ()) -> Requirements:
    """Return what an environment needs to answer by the content of a `plan.json`; raises MissingPackageError."""
    return Requirements(pins(packages(plan, extras)), known_hashes(LOCK.read_text()))


def packages(plan: bytes, extras: Collection[str] = ()) -> list[str]:
    """Return the packages that the service imports for a plan, and by which it knows the clock of a table.

    pyarrow reads its files, DuckDB runs its queries.
    """
    read = read_plan(plan)
    needed = {*ALWAYS, *(package for extra in extras for package in EXTRAS[extra])}
    if not needed & _BUILDS.keys():
        needed.add("onnxruntime")
    if read.lookups or read.synthesis:
        needed.add("pyarrow")
    if read.events or read.synthesis:
        needed.add("duckdb")
    if any(source.timezone != "UTC" for source in read.sources):
        needed.add("tzdata")
    return sorted(needed)


def pins(roots: Collection[str]) -> list[str]:
    """Return packages and all that they need, as `name==version`, sorted, by what is installed here."""
    versions: dict[str, str] = {}
    rest = [Requirement(root) for root in roots]
    visited = set[tuple[str, frozenset[str]]]()
    while rest:
        requirement = rest.pop()
        name, extras = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if (name, extras) not in visited:
            visited.add((name, extras))
            found = _installed(name)
            versions[name] = found.version
            rest += _needs(found, extras)
    return [f"{name}=={versions[name]}" for name in sorted(versions)]


def known_hashes(lock: str) -> dict[str, list[str]]:
    """Return the hashes of a lock, by pin."""
    return {entry["pin"]: re.findall(r"--hash=(\S+)", entry["hashes"]) for entry in _PIN.finditer(lock)}


def _needs(found: Distribution, extras: Collection[str]) -> Iterator[Requirement]:
    for requirement in map(Requirement, found.requires or []):
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield requirement


def _installed(name: str) -> Distribution:
    for candidate in filter(None, (name, _BUILDS.get(name))):
        try:
            return distribution(candidate)
        except PackageNotFoundError:
            continue
    raise MissingPackageError(f"a Bento needs the package {name}, which is not installed here: pip install {name}")


if __name__ == "__main__":  # what `make lock` makes the lock of
    print(
        *sorted({*ALWAYS, *_BUILDS, "duckdb", "tzdata", *(package for extra in EXTRAS.values() for package in extra)}),
        sep="\n",
    )
