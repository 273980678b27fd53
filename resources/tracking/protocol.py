"""The parts of any tracker: runs, and a store of the versions of a model. MLflow's classes stay behind these."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol


class RegistryError(LookupError):
    """The registry has no such version, or not in the state that was asked for."""


@dataclass(frozen=True)
class RegisteredVersion:
    """One version of a registered model: its number as text, its tags, and the URI under which its files lie."""

    version: str
    tags: Mapping[str, str]
    source: str


class TrackedRun(Protocol):
    """An open run, of one asset materialization."""

    @property
    def id(self) -> str:
        """Return the id by which the tracker knows the run."""

    def link(self, file: str = "") -> str:
        """Return the page of the run in the tracker's UI, or of a file that it has logged."""

    def tag(self, tags: Mapping[str, str]) -> None:
        """Set tags of the run."""

    def metrics(self, values: Mapping[str, float]) -> None:
        """Log metrics by name."""

    def curve(self, step: int, values: Mapping[str, float]) -> None:
        """Log one point of each of some curves, at once."""

    def params(self, values: Mapping[str, Any]) -> None:
        """Log parameters by name."""

    def child(
        self, name: str, params: Mapping[str, Any], metrics: Mapping[str, Sequence[float]], tags: Mapping[str, str]
    ) -> None:
        """Log a finished run below this one: params, metrics with a value for each step, tags; `state` is its own."""

    def trials(self, target: str = "") -> Callable[[int], AbstractContextManager[None]] | None:
        """Return what lets the code of a trial log on the child `trial <number>`, in any process; None if not asked."""

    def file(self, name: str, content: bytes) -> None:
        """Log an artifact file."""


class Versions(Protocol):
    """The versions of one model, the aliases that lead to them, and notes about the model; each write is one step."""

    @property
    def name(self) -> str:
        """Return the name of the model."""

    def with_alias(self, alias: str) -> RegisteredVersion | None:
        """Return the version that carries an alias; None if none does."""

    def get(self, number: str) -> RegisteredVersion:
        """Return a version; raise RegistryError with those that there are."""

    def tagged(self, tag: str, value: str) -> list[RegisteredVersion]:
        """Return the versions of which a tag has this value, the first one first."""

    def register(self, run: TrackedRun, content: bytes, tags: Mapping[str, str], files: Mapping[str, bytes]) -> str:
        """Register an ONNX model as a new version; its artifacts (with `files`) are `run`'s; return its number."""

    def file(self, version: str, name: str) -> bytes:
        """Return a file of a version; raise RegistryError if it is not there."""

    def put_file(self, version: str, name: str, content: bytes) -> None:
        """Write a file of a version, whole or not at all, in place of an earlier one."""

    def set_tag(self, version: str, tag: str, value: str) -> None:
        """Set a tag of a version."""

    def delete_tag(self, version: str, tag: str) -> None:
        """Remove a tag of a version."""

    def set_alias(self, alias: str, version: str) -> None:
        """Let an alias lead to a version, and to no other."""

    def delete_alias(self, alias: str) -> None:
        """Remove an alias."""

    def notes(self) -> dict[str, str]:
        """Return the notes about the model; none where nothing is registered."""

    def set_note(self, key: str, text: str) -> None:
        """Write a note about the model, whole or not at all."""

    def delete_note(self, key: str) -> None:
        """Remove a note about the model."""
