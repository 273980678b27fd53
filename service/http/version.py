"""A version: a bundle, loaded, with all that belongs to it and changes with it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from service.history.events import Events
from service.history.places import open_store
from service.predict.predictor import Predictor, load_predictor

BUNDLE = Path("src", "bundle")  # in a Bento, beside its copy of this package

QUOTES = "'\""
HEADERS = "sextant.headers"  # in the scope of a request: those that name who answers it

Header = tuple[bytes, bytes]


@dataclass(frozen=True)
class Version:
    """A predictor, what takes its events, and the headers that name it; a request takes one, and keeps to it.

    `difference` is the largest one of a golden score, `tag` that of its Bento, if it lies in one.
    """

    predictor: Predictor
    events: Events
    difference: float = 0.0
    tag: str | None = None

    @cached_property
    def headers(self) -> list[Header]:
        """Those of every response that it gives."""
        return headers_of([self])

    @cached_property
    def remote(self) -> Events | None:
        """Its events, if they come from a store that is not read before each answer."""
        return self.events if self.events.remote else None

    @property
    def fault(self) -> str | None:
        """Why it must not be asked: it answers otherwise than it did when it was built; None: it does not."""
        tolerance = self.predictor.golden.tolerance
        if self.difference <= tolerance:
            return None
        return f"a golden score differs by {self.difference:.3g}; at most {tolerance:.3g} is allowed"


def load_version(folder: Path, place: str | Path | None = None) -> Version:
    """Load a bundle, replay its golden records, and take in the events that a place keeps.

    In this order, as events may change the past of the golden records. Raises if the bundle or the events cannot
    be served at all.
    """
    predictor = load_predictor(folder)
    difference, plan = predictor.difference(), predictor.plan
    log = open_store(place, plan.use_case) if place is not None and plan.events else None
    predictor.events = events = Events(plan, predictor.histories, log)
    events.replay()
    if events.remote:
        events.follow()
    return Version(predictor, events, difference, tag_of(folder))


def tag_of(bundle: Path) -> str | None:
    """Return the tag of the Bento that a bundle lies in; None: it lies in none."""
    bento = bundle.absolute().parent.parent
    about = bento / "bento.yaml"
    if bundle.absolute() != bento / BUNDLE or not about.is_file():
        return None
    lines = dict(line.partition(": ")[::2] for line in about.read_text().splitlines())  # in an image, no folder has it
    name, version = (lines.get(key, "").strip(QUOTES) for key in ("name", "version"))
    return f"{name}:{version}" if name and version else None


def headers_of(versions: Sequence[Version]) -> list[Header]:
    """Return the headers that name the versions of an answer, of which several may have answered a part."""
    return [
        (b"x-sextant-coordinates", _listed(version.predictor.id for version in versions)),
        (b"x-sextant-model", _listed(version.predictor.name for version in versions)),
    ]


def _listed(names: Iterable[str]) -> bytes:
    return ", ".join(names).encode("latin-1", "replace")
