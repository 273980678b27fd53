"""The registry of one use case's models: versions, aliases and the history of promotions."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from resources.tracking.history import Entry, History

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

    from resources.tracking.runs import TrackedRun

CHAMPION, PREVIOUS, CHALLENGER = "champion", "previous", "challenger"
# What an entry of the history says was done:
PROMOTED, APPROVED, ROLLBACK, BY_HAND = "promoted", "approved", "rolled back", "moved by hand"
# Tags of a version: the hash of its bytes, that of all that decides its answers, and who went back from it.
MODEL_HASH, ANSWERS, ROLLED_BACK = "sextant.model_hash", "sextant.answers_hash", "sextant.rolled_back"

T = TypeVar("T")


class RegistryError(LookupError):
    """The registry has no such version, or not in the state that was asked for."""


class Registry:
    """What MLflow's registry holds under one name. To be changed under `Tracking.promotion` alone.

    A move of the champion is announced in the history, done, and then marked as done there. `recover` ends, or takes
    back, one that a killed step left between the two: aliases and history then agree again.
    """

    def __init__(self, client: "MlflowClient", name: str, tracking_uri: str) -> None:
        self.client, self.name, self.tracking_uri = client, name, tracking_uri
        self.history = History(client, name)

    def with_alias(self, alias: str) -> "ModelVersion | None":
        """The version that carries an alias, or None."""
        return _found(lambda: self.client.get_model_version_by_alias(self.name, alias))

    def version(self, number: str) -> "ModelVersion":
        """A version; raises RegistryError with those that there are."""
        found = _found(lambda: self.client.get_model_version(self.name, number))
        if found is None:
            there = sorted(int(each.version) for each in self.client.search_model_versions(f"name = '{self.name}'"))
            raise RegistryError(f"{self.name} has no version {number!r}; there are {there or 'none'}")
        return found

    def tagged(self, tag: str, value: str) -> "list[ModelVersion]":
        """The versions of which a tag has this value, the first one first."""
        versions = self.client.search_model_versions(f"name = '{self.name}' and tags.`{tag}` = '{value}'")
        return sorted(versions, key=lambda each: int(each.version))

    def register(
        self, run: "TrackedRun", content: bytes, tags: Mapping[str, str], files: Mapping[str, bytes] | None = None
    ) -> str:
        """Registers an ONNX model as a new version, whose artifacts (with `files`) belong to `run`; returns it."""
        import mlflow.onnx
        import onnx
        from mlflow.exceptions import MlflowException

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model"
            mlflow.onnx.save_model(onnx.load_from_string(content), str(path), pip_requirements=["onnx", "onnxruntime"])
            (path / "model.onnx").write_bytes(content)  # these very bytes: MLflow has serialized them anew
            for file, beside in (files or {}).items():
                (path / file).write_bytes(beside)
            run.client.log_artifacts(run.id, str(path), "model")
        try:
            run.client.create_registered_model(self.name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        source = f"{run.client.get_run(run.id).info.artifact_uri}/model"
        return str(run.client.create_model_version(self.name, source, run.id, tags=dict(tags)).version)

    def file(self, version: str, name: str = "model.onnx") -> bytes:
        """A file of a registered version; raises RegistryError if it is not there."""
        import mlflow
        from mlflow.exceptions import MlflowException

        source = self.client.get_model_version_download_uri(self.name, version)
        with tempfile.TemporaryDirectory() as folder:
            try:
                path = mlflow.artifacts.download_artifacts(
                    artifact_uri=f"{source}/{name}", dst_path=folder, tracking_uri=self.tracking_uri
                )
            except (MlflowException, OSError) as error:
                raise RegistryError(f"{self.name} version {version}: {name} cannot be read: {error}") from error
            return Path(path).read_bytes()

    def tag(self, version: str, tags: Mapping[str, str]) -> None:
        """Sets tags of a version."""
        for key, value in tags.items():
            self.client.set_model_version_tag(self.name, version, key, value)

    def entries(self) -> list[Entry]:
        """The moves of the champion that are done, or only lack the word that they are, the first one first."""
        if _found(lambda: self.client.get_registered_model(self.name)) is None:
            return []
        champion = self._champion()
        return [each for each in self.history.entries() if each.done or each.version == champion]

    def recover(self) -> None:
        """Ends or takes back a move that a killed step left, and notes one that was made by hand."""
        if _found(lambda: self.client.get_registered_model(self.name)) is None:
            return
        entries, champion = self.history.entries(), self._champion()
        last = entries.pop() if entries and not entries[-1].done else None
        if last is not None and last.version == champion:
            self._finish(last)
            return
        if last is not None:
            self.history.withdraw(last)
        known = entries[-1].version if entries else None
        if champion not in (known, None):
            reason = "the alias was moved outside of Sextant, or before there was a history"
            entry = Entry(_next(entries), BY_HAND, str(champion), known, "unknown", reason, done=True)
            self.history.write(entry)

    def challenge(self, version: str) -> None:
        """Lets a version wait as the challenger."""
        self.client.set_registered_model_alias(self.name, CHALLENGER, version)

    def move(self, action: str, version: str, *, by: str, reason: str, run: str, figures: Mapping[str, float]) -> Entry:
        """Makes a version the champion, and the former champion `previous`; `recover` must have run before."""
        number, former = _next(self.history.entries()), self._champion()
        entry = Entry(number, action, version, former, by, reason, run=run, figures=dict(figures))
        entry = self.history.write(entry)
        self.client.set_registered_model_alias(self.name, CHAMPION, version)
        return self._finish(entry)

    def _finish(self, entry: Entry) -> Entry:
        """All that follows a moved alias; it may be done twice."""
        if entry.action in (PROMOTED, APPROVED):
            about = {"by": entry.by, "reason": entry.reason, "at": entry.at}
            self.tag(entry.version, {f"sextant.approved_{name}": value for name, value in about.items()})
        if entry.former is not None:
            self.client.set_registered_model_alias(self.name, PREVIOUS, entry.former)
        challenger = self.with_alias(CHALLENGER)
        if challenger is not None and str(challenger.version) == entry.version:
            self.client.delete_registered_model_alias(self.name, CHALLENGER)
        if ROLLED_BACK in self.version(entry.version).tags:
            self.client.delete_model_version_tag(self.name, entry.version, ROLLED_BACK)
        if entry.action == ROLLBACK and entry.former is not None:
            self.tag(entry.former, {ROLLED_BACK: f"on {entry.at[:10]} by {entry.by}: {entry.reason}"})
        return self.history.write(replace(entry, done=True))

    def _champion(self) -> str | None:
        found = self.with_alias(CHAMPION)
        return str(found.version) if found else None


def _next(entries: list[Entry]) -> int:
    return entries[-1].number + 1 if entries else 1


def _found(ask: Callable[[], T]) -> T | None:
    """What MLflow answers, or None where it has no such thing."""
    from mlflow.exceptions import MlflowException

    try:
        return ask()
    except MlflowException as error:
        if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
            return None
        raise
