"""The registry of one use case's models: versions, aliases and the history of promotions, in whichever store."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from ml.base.hashing import hash_bytes
from resources.tracking.history import (
    APPROVED,
    BY_HAND,
    CONFIRMED,
    DELETED,
    PROMOTED,
    RESTORED,
    RETIRED,
    ROLLBACK,
    Entry,
    History,
    Standing,
    standing_of,
)
from resources.tracking.protocol import RegisteredVersion, RegistryError, TrackedRun, Versions

CHAMPION, PREVIOUS, CHALLENGER = "champion", "previous", "challenger"
# Tags of a version: the hash of its bytes, that of all that decides its answers, who went back from it, and the id of
# the coordinates that it was exported with.
MODEL_HASH, ANSWERS, ROLLED_BACK = "sextant.model_hash", "sextant.answers_hash", "sextant.rolled_back"
COORDINATES = "sextant.coordinates"


class Registry:
    """The versions of one model, of which one is the champion. To be changed under `Tracker.promotion` alone.

    A move of the champion is announced in the history, done, and then marked as done there. `recover` ends, or takes
    back, one that a killed step left between the two, and restores an alias that was deleted: aliases and history then
    agree again. `promoted` is the champion of the latest promotion that this Sextant home knows of, against which a
    registry that was deleted, renamed or put back is noticed.
    """

    def __init__(self, versions: Versions, promoted: Standing | None = None) -> None:
        self.versions, self.history, self.promoted = versions, History(versions), promoted

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

    def complete(self, version: str, bundle: Mapping[str, bytes]) -> None:
        """Put all else that a version's Bento has beside the version, so that whoever loads it needs no other place."""
        from resources.tracking.pyfunc import BUNDLE, pack

        self.versions.put_file(version, BUNDLE, pack(bundle))

    def model(self, version: str) -> bytes:
        """Return the ONNX file of a version; raise RegistryError, with the way out, unless it is as registered."""
        try:
            registered, content = self.version(version), self.file(version)
        except RegistryError as error:
            raise self._damaged(version, f"cannot be read ({error})") from error
        if hash_bytes(content) != registered.tags.get(MODEL_HASH, hash_bytes(content)):
            raise self._damaged(version, "is not the model that was registered")
        return content

    def tag(self, version: str, tags: Mapping[str, str]) -> None:
        """Set tags of a version."""
        for tag, value in tags.items():
            self.versions.set_tag(version, tag, value)

    def entries(self) -> list[Entry]:
        """Return the moves of the champion that are done, or only lack the word that they are, the first one first."""
        champion = self._champion()
        return [entry for entry in self.history.entries() if entry.done or _decided(entry, champion)]

    def champion(self) -> RegisteredVersion | None:
        """Return the champion, by alias and history alike, also one whose alias alone was deleted; None if none is.

        Raises RegistryError, which says how to get out, where the registry is not as Sextant left it: the champion is
        gone, or is not the model that was promoted.
        """
        entries, version = self.entries(), self.with_alias(CHAMPION)
        if self.promoted and not self._remembered(entries, version):
            raise self._lost(
                f"version {self.promoted.version} of {self.name} was its latest champion, of which the registry knows "
                "nothing: the model was deleted or renamed, an earlier state of the registry was put back, or this is "
                "another registry. Undo that; else"
            )
        standing = standing_of(entries)
        if version is None and standing is not None:
            try:
                version = self.version(standing.version)
            except RegistryError as error:
                raise self._lost(f"the champion of {self.name} was deleted: {error};") from error
        if version is None:
            return None
        model_hash = version.tags.get(MODEL_HASH, "")
        if not version.tags.keys() & {MODEL_HASH, COORDINATES}:
            raise self._lost(f"the champion {self.name}:{version.version} was not registered by Sextant;")
        if standing and standing.version == version.version and standing.model_hash not in ("", model_hash):
            raise self._lost(f"the champion {self.name}:{version.version} is another model than was promoted;")
        return version

    def standing(self) -> Standing | None:
        """Return the champion that a decision is about, be it lost or not; None if there is none."""
        entries, version = self.entries(), self.with_alias(CHAMPION)
        if version is not None:
            return Standing(version.version, version.tags.get(MODEL_HASH, ""))
        return standing_of(entries) or (None if self._remembered(entries, version) else self.promoted)

    def recover(self) -> None:
        """End or take back a move that a killed step left; note one that was made by hand, restore a deleted alias."""
        entries, champion = self.history.entries(), self._champion()
        last = entries.pop() if entries and not entries[-1].done else None
        if last is not None and _decided(last, champion):
            self._finish(last)
            return
        if last is not None:
            self.history.withdraw(last)
        standing = standing_of(entries)
        recorded = standing.version if standing else None
        if champion not in (recorded, None):
            reason = "the alias was moved outside of Sextant, or before there was a history"
            self._note(BY_HAND, str(champion), reason, former=recorded)
        elif champion is None and standing is not None:
            self._restore(standing, gone=entries[-1].action == DELETED)

    def rolled_back(self, model_hash: str, versions: Sequence[RegisteredVersion] = ()) -> tuple[str, str] | None:
        """Return which version somebody went back from, and when, by whom and why; None if nobody did.

        Looked for are `versions` and those that had this model, unless they were the champion since. The history says
        so, also of a version that was deleted.
        """
        entries = self.entries()
        wanted = [Standing(version.version, version.tags.get(MODEL_HASH, "")) for version in versions]
        wanted += [Standing(entry.version, model_hash) for entry in entries if entry.model_hash == model_hash]
        for standing in wanted:
            if (rollback := _rollback_from(standing, entries)) is not None:
                return standing.version, _told(rollback)
        return None

    def challenge(self, version: str) -> None:
        """Let a version wait as the challenger."""
        self.versions.set_alias(CHALLENGER, version)

    def move(self, action: str, version: str, *, by: str, reason: str, run: str, figures: Mapping[str, float]) -> Entry:
        """Make a version the champion, and the former champion `previous`; `recover` must have run before."""
        number, former = _next(self.history.entries()), self._champion()
        model_hash = self._hash_of(version)
        entry = Entry(number, action, version, former, by, reason, run=run, figures=dict(figures))
        entry = self.history.write(replace(entry, model_hash=model_hash))
        self.versions.set_alias(CHAMPION, version)
        return self._finish(entry)

    def retire(self, *, by: str, reason: str, run: str) -> None:
        """Let there be no champion; raise RegistryError if there is none."""
        standing, number = self.standing(), _next(self.history.entries())
        if standing is None:
            raise RegistryError(f"{self.name} has no champion")
        entry = Entry(number, RETIRED, standing.version, None, by, reason, run=run, model_hash=standing.model_hash)
        self._finish(self.history.write(entry))

    def confirm(self, version: str, *, reason: str, run: str, figures: Mapping[str, float]) -> None:
        """Note, once, that a candidate gives the champion's answers: it stays, and nothing moves."""
        entries = self.history.entries()
        if not entries or (entries[-1].action, entries[-1].reason) != (CONFIRMED, reason):
            self._note(CONFIRMED, version, reason, by="the gates", run=run, figures=figures)

    def _note(
        self,
        action: str,
        version: str,
        reason: str,
        *,
        former: str | None = None,
        by: str = "unknown",
        run: str = "",
        figures: Mapping[str, float] | None = None,
        model_hash: str | None = None,
    ) -> None:
        """Write an entry that moves nothing."""
        model_hash = self._hash_of(version) if model_hash is None else model_hash
        number = _next(self.history.entries())
        entry = Entry(number, action, version, former, by, reason, run=run, figures=dict(figures or {}))
        self.history.write(replace(entry, model_hash=model_hash, done=True))

    def _restore(self, standing: Standing, *, gone: bool) -> None:
        """Give a champion its alias back, or note, unless that is known, that its version is gone too."""
        try:
            there = standing.is_of(standing.version, self._hash_of(standing.version))
        except RegistryError:
            there = False
        if there:
            reason = "the alias was deleted outside of Sextant"
            self.move(RESTORED, standing.version, by="Sextant", reason=reason, run="", figures={})
        elif not gone:
            reason = "the alias and the version were deleted outside of Sextant"
            self._note(DELETED, standing.version, reason, model_hash=standing.model_hash)

    def _finish(self, entry: Entry) -> Entry:
        """Do all that follows a moved alias; it may be done twice."""
        if entry.action == RETIRED:
            if self._champion() is not None:
                self.versions.delete_alias(CHAMPION)
            return self.history.write(replace(entry, done=True))
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
            self.tag(entry.former, {ROLLED_BACK: _told(entry)})
        return self.history.write(replace(entry, done=True))

    def _champion(self) -> str | None:
        champion = self.with_alias(CHAMPION)
        return champion.version if champion else None

    def _hash_of(self, version: str) -> str:
        return self.version(version).tags.get(MODEL_HASH, "")

    def _remembered(self, entries: Sequence[Entry], version: RegisteredVersion | None) -> bool:
        """Return whether the registry knows of the latest promotion that this home knows of."""
        promoted = self.promoted
        if promoted is None:
            return True
        by_alias = version is not None and promoted.is_of(version.version, version.tags.get(MODEL_HASH, ""))
        return by_alias or any(promoted.is_of(entry.version, entry.model_hash) for entry in entries)

    def _damaged(self, version: str, how: str) -> RegistryError:
        role = "champion" if version == self._champion() else "version"
        return self._lost(f"the {role} {self.name}:{version} is damaged, its file {how};")

    def _lost(self, reason: str) -> RegistryError:
        return RegistryError(
            f"{reason} go back to another version: sextant rollback {self.name} --to VERSION --reason …, or begin "
            f"without a champion: sextant retire {self.name} --reason …"
        )


def _rollback_from(standing: Standing, entries: Sequence[Entry]) -> Entry | None:
    """Return the entry of the rollback from a version that was not the champion since; None if there is none."""
    for before, entry in reversed(list(pairwise(entries))):
        if standing.is_of(entry.version, entry.model_hash):
            return None
        if entry.action == ROLLBACK and entry.former == before.version and standing.is_of(*before.standing):
            return entry
    return None


def _told(rollback: Entry) -> str:
    return f"on {rollback.at[:10]} by {rollback.by}: {rollback.reason}"


def _decided(entry: Entry, champion: str | None) -> bool:
    """Return whether an announced move is to be ended, and not taken back; `champion` carries the alias."""
    return entry.action == RETIRED or entry.version == champion


def _next(entries: list[Entry]) -> int:
    return entries[-1].number + 1 if entries else 1
