"""The registry of one use case's models: versions, aliases and the history of promotions, in whichever store."""

from collections.abc import Mapping
from dataclasses import replace

from resources.tracking.history import Entry, History
from resources.tracking.protocol import RegisteredVersion, TrackedRun, Versions

CHAMPION, PREVIOUS, CHALLENGER = "champion", "previous", "challenger"
# What an entry of the history says was done:
PROMOTED, APPROVED, ROLLBACK, BY_HAND = "promoted", "approved", "rolled back", "moved by hand"
CONFIRMED = "confirmed"  # by a candidate that gives the same answers
# Tags of a version: the hash of its bytes, that of all that decides its answers, and who went back from it.
MODEL_HASH, ANSWERS, ROLLED_BACK = "sextant.model_hash", "sextant.answers_hash", "sextant.rolled_back"


class Registry:
    """The versions of one model, of which one is the champion. To be changed under `Tracker.promotion` alone.

    A move of the champion is announced in the history, done, and then marked as done there. `recover` ends, or takes
    back, one that a killed step left between the two: aliases and history then agree again.
    """

    def __init__(self, versions: Versions) -> None:
        self.versions, self.history = versions, History(versions)

    @property
    def name(self) -> str:
        """Return the name of the model."""
        return self.versions.name

    def with_alias(self, alias: str) -> RegisteredVersion | None:
        """Return the version that carries an alias; None if none does."""
        return self.versions.with_alias(alias)

    def version(self, number: str) -> RegisteredVersion:
        """Return a version; raise RegistryError with those that there are."""
        return self.versions.get(number)

    def tagged(self, tag: str, value: str) -> list[RegisteredVersion]:
        """Return the versions of which a tag has this value, the first one first."""
        return self.versions.tagged(tag, value)

    def register(
        self, run: TrackedRun, content: bytes, tags: Mapping[str, str], files: Mapping[str, bytes] | None = None
    ) -> str:
        """Register an ONNX model as a new version; its artifacts (with `files`) are `run`'s; return its number."""
        return self.versions.register(run, content, tags, files or {})

    def file(self, version: str, name: str = "model.onnx") -> bytes:
        """Return a file of a registered version; raise RegistryError if it is not there."""
        return self.versions.file(version, name)

    def tag(self, version: str, tags: Mapping[str, str]) -> None:
        """Set tags of a version."""
        for tag, value in tags.items():
            self.versions.set_tag(version, tag, value)

    def entries(self) -> list[Entry]:
        """Return the moves of the champion that are done, or only lack the word that they are, the first one first."""
        champion = self._champion()
        return [entry for entry in self.history.entries() if entry.done or entry.version == champion]

    def recover(self) -> None:
        """End or take back a move that a killed step left, and note one that was made by hand."""
        entries, champion = self.history.entries(), self._champion()
        last = entries.pop() if entries and not entries[-1].done else None
        if last is not None and last.version == champion:
            self._finish(last)
            return
        if last is not None:
            self.history.withdraw(last)
        recorded = entries[-1].version if entries else None
        if champion not in (recorded, None):
            reason = "the alias was moved outside of Sextant, or before there was a history"
            entry = Entry(_next(entries), BY_HAND, str(champion), recorded, "unknown", reason, done=True)
            self.history.write(entry)

    def challenge(self, version: str) -> None:
        """Let a version wait as the challenger."""
        self.versions.set_alias(CHALLENGER, version)

    def move(self, action: str, version: str, *, by: str, reason: str, run: str, figures: Mapping[str, float]) -> Entry:
        """Make a version the champion, and the former champion `previous`; `recover` must have run before."""
        number, former = _next(self.history.entries()), self._champion()
        entry = Entry(number, action, version, former, by, reason, run=run, figures=dict(figures))
        entry = self.history.write(entry)
        self.versions.set_alias(CHAMPION, version)
        return self._finish(entry)

    def confirm(self, version: str, *, reason: str, run: str, figures: Mapping[str, float]) -> None:
        """Note, once, that a candidate gives the champion's answers: it stays, and nothing moves."""
        entries = self.history.entries()
        if entries and (entries[-1].action, entries[-1].reason) == (CONFIRMED, reason):
            return
        entry = Entry(_next(entries), CONFIRMED, version, None, "the gates", reason, run=run, figures=dict(figures))
        self.history.write(replace(entry, done=True))

    def _finish(self, entry: Entry) -> Entry:
        """Do all that follows a moved alias; it may be done twice."""
        if entry.action in (PROMOTED, APPROVED):
            about = {"by": entry.by, "reason": entry.reason, "at": entry.at}
            self.tag(entry.version, {f"sextant.approved_{name}": value for name, value in about.items()})
        if entry.former is not None:
            self.versions.set_alias(PREVIOUS, entry.former)
        challenger = self.with_alias(CHALLENGER)
        if challenger is not None and challenger.version == entry.version:
            self.versions.delete_alias(CHALLENGER)
        if ROLLED_BACK in self.version(entry.version).tags:
            self.versions.delete_tag(entry.version, ROLLED_BACK)
        if entry.action == ROLLBACK and entry.former is not None:
            self.tag(entry.former, {ROLLED_BACK: f"on {entry.at[:10]} by {entry.by}: {entry.reason}"})
        return self.history.write(replace(entry, done=True))

    def _champion(self) -> str | None:
        champion = self.with_alias(CHAMPION)
        return champion.version if champion else None


def _next(entries: list[Entry]) -> int:
    return entries[-1].number + 1 if entries else 1
