"""The versions of a model in MLflow's registry."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ml.base.files import scratch_folder, write_whole
from resources.tracking.protocol import RegisteredVersion, RegistryError, TrackedRun

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

T = TypeVar("T")


class MlflowVersions:
    """The versions, aliases and tags that MLflow's registry has under one name: `Versions`."""

    def __init__(self, client: "MlflowClient", name: str, tracking_uri: str) -> None:
        self.client, self.name, self.tracking_uri = client, name, tracking_uri

    def with_alias(self, alias: str) -> RegisteredVersion | None:
        """Return the version that carries an alias; None if none does."""
        version = _unless_missing(lambda: self.client.get_model_version_by_alias(self.name, alias))
        return _registered(version) if version else None

    def get(self, number: str) -> RegisteredVersion:
        """Return a version; raise RegistryError with those that there are."""
        version = _unless_missing(lambda: self.client.get_model_version(self.name, number))
        if version is None:
            there = sorted(int(other.version) for other in self.client.search_model_versions(f"name = '{self.name}'"))
            raise RegistryError(f"{self.name} has no version {number!r}; there are {there or 'none'}")
        return _registered(version)

    def tagged(self, tag: str, value: str) -> list[RegisteredVersion]:
        """Return the versions of which a tag has this value, the first one first."""
        versions = self.client.search_model_versions(f"name = '{self.name}' and tags.`{tag}` = '{value}'")
        return [_registered(version) for version in sorted(versions, key=lambda version: int(version.version))]

    def register(self, run: TrackedRun, content: bytes, tags: Mapping[str, str], files: Mapping[str, bytes]) -> str:
        """Register an ONNX model as a new version; its artifacts (with `files`) are `run`'s; return its number."""
        from resources.tracking.pyfunc import save

        with scratch_folder() as folder:
            path = folder / "model"
            save(content, path)
            for file, beside in files.items():
                (path / file).write_bytes(beside)
            self.client.log_artifacts(run.id, str(path), "model")
        self._create()
        source = f"{self.client.get_run(run.id).info.artifact_uri}/model"
        return str(self.client.create_model_version(self.name, source, run.id, tags=dict(tags)).version)

    def file(self, version: str, name: str) -> bytes:
        """Return a file of a version; raise RegistryError if it is not there."""
        import mlflow
        from mlflow.exceptions import MlflowException

        source = self.client.get_model_version_download_uri(self.name, version)
        with scratch_folder() as folder:
            try:
                path = mlflow.artifacts.download_artifacts(
                    artifact_uri=f"{source}/{name}", dst_path=str(folder), tracking_uri=self.tracking_uri
                )
            except (MlflowException, OSError) as error:
                why = " ".join(str(error).split())  # MLflow's goes over several lines
                raise RegistryError(f"{self.name} version {version}: {name} cannot be read: {why}") from error
            return Path(path).read_bytes()

    def put_file(self, version: str, name: str, content: bytes) -> None:
        """Write a file of a version, whole or not at all, in place of an earlier one."""
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
        from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

        source = self.client.get_model_version_download_uri(self.name, version)
        repository: Any = get_artifact_repository(source, self.tracking_uri)
        if isinstance(repository, LocalArtifactRepository):  # which would write over the earlier one, bit by bit
            write_whole(Path(repository.artifact_dir) / name, content)
            return
        with scratch_folder() as folder:
            (folder / name).write_bytes(content)
            repository.log_artifact(str(folder / name))

    def set_tag(self, version: str, tag: str, value: str) -> None:
        """Set a tag of a version."""
        self.client.set_model_version_tag(self.name, version, tag, value)

    def delete_tag(self, version: str, tag: str) -> None:
        """Remove a tag of a version."""
        self.client.delete_model_version_tag(self.name, version, tag)

    def set_alias(self, alias: str, version: str) -> None:
        """Let an alias lead to a version, and to no other."""
        self.client.set_registered_model_alias(self.name, alias, version)

    def delete_alias(self, alias: str) -> None:
        """Remove an alias."""
        self.client.delete_registered_model_alias(self.name, alias)

    def notes(self) -> dict[str, str]:
        """Return the tags of the registered model; none where nothing is registered."""
        model = _unless_missing(lambda: self.client.get_registered_model(self.name))
        return dict(model.tags) if model else {}

    def set_note(self, key: str, text: str) -> None:
        """Set a tag of the registered model: one row of MLflow's database, so whole or not there."""
        self._create()
        self.client.set_registered_model_tag(self.name, key, text)

    def delete_note(self, key: str) -> None:
        """Remove a tag of the registered model."""
        self.client.delete_registered_model_tag(self.name, key)

    def _create(self) -> None:
        """Make the registered model, unless it is there."""
        from mlflow.exceptions import MlflowException

        try:
            self.client.create_registered_model(self.name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise


def _registered(version: "ModelVersion") -> RegisteredVersion:
    return RegisteredVersion(str(version.version), dict(version.tags), str(version.source))


def _unless_missing(ask: Callable[[], T]) -> T | None:
    """Return MLflow's answer; None where it has no such thing."""
    from mlflow.exceptions import MlflowException

    try:
        return ask()
    except MlflowException as error:
        if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
            return None
        raise
