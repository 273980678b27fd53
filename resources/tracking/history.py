"""The promotion history: one entry for each move of a champion, in the registry beside the alias that it tells of."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import NamedTuple

from pydantic import TypeAdapter

from ml.base.text import shortened
from resources.tracking.protocol import RegistryError, Versions

PREFIX = "sextant.history."  # notes about the registered model: one row of its store each, so whole or not there
# What an entry says was done:
PROMOTED, APPROVED, ROLLBACK, RETIRED = "promoted", "approved", "rolled back", "retired"
CONFIRMED = "confirmed"  # by a candidate that gives the same answers
BY_HAND, DELETED, RESTORED = "moved by hand", "deleted by hand", "restored"  # after changes outside of Sextant
SHOWN = 60  # characters of a note that an error shows
LONGEST = 1000  # characters of a reason: PostgreSQL keeps 5,000 of a tag


@dataclass(frozen=True)
class Entry:
    """One move of the alias `champion`: to which version, from which one, when, by whom, why, with which figures.

    `done` is false between the announcement of a move and its end. `model_hash` is that of the version's file, and
    empty where the entry is older than that field.
    """

    number: int
    action: str
    version: str
    former: str | None
    by: str
    reason: str
    at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    run: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)
    done: bool = False
    model_hash: str = ""

    @property
    def standing(self) -> "Standing":
        """Return the version that the champion became by this."""
        return Standing(self.version, self.model_hash)

    def row(self) -> dict[str, str]:
        """Return the entry as a row of a table, by header."""
        return {
            "when (UTC)": self.at[:19].replace("T", " "),
            "version": self.version,
            "instead of": self.former or "",
            "what": self.action,
            "by": self.by,
            "why": self.reason,
            "figures": ", ".join(f"{name} = {value:.4g}" for name, value in self.figures.items()),
        }


_READ = TypeAdapter(Entry)


class Standing(NamedTuple):
    """The number of a version that is the champion, and the hash of its file; that is empty where nobody knows it."""

    version: str
    model_hash: str

    def is_of(self, version: str, model_hash: str) -> bool:
        """Return whether a number is this version's and does not stand for another model."""
        return self.version == version and (not (self.model_hash and model_hash) or self.model_hash == model_hash)


def standing_of(entries: Sequence[Entry]) -> Standing | None:
    """Return the champion by the history; None if there never was one, or it was retired."""
    last = entries[-1] if entries else None
    return None if last is None or last.action == RETIRED else last.standing


class History:
    """The entries of one registered model, in order. Only the last one may be unfinished."""

    def __init__(self, versions: Versions) -> None:
        self.versions = versions

    def entries(self) -> list[Entry]:
        """Return all of them, the first one first; none where nothing is registered."""
        notes = self.versions.notes()
        return [self._read(key, notes[key]) for key in sorted(notes) if key.startswith(PREFIX)]

    def _read(self, key: str, note: str) -> Entry:
        """Return the entry of a note; raise RegistryError, with the way out, for one that Sextant has not written."""
        try:
            return replace(_READ.validate_json(note), number=int(key.removeprefix(PREFIX)))
        except ValueError as error:
            raise RegistryError(
                f"the history of {self.versions.name} cannot be read: the tag {key} of the registered model was edited "
                f"outside of Sextant, and says {shortened(note, SHOWN)!r}. Put back what it said, or delete it: the "
                "alias then says which version is the champion"
            ) from error

    def write(self, entry: Entry) -> Entry:
        """Announce a move, or note that it is done: one write of one row."""
        entry = replace(entry, reason=shortened(entry.reason, LONGEST))
        self.versions.set_note(_key(entry), json.dumps(asdict(entry)))
        return entry

    def withdraw(self, entry: Entry) -> None:
        """Take back the announcement of a move that never happened."""
        self.versions.delete_note(_key(entry))


def _key(entry: Entry) -> str:
    return f"{PREFIX}{entry.number:06d}"
