"""The tracker, as assets and commands see it: runs, registries of models, and the pages of both."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Protocol

import dagster as dg

from resources.tracking.protocol import RegisteredVersion, TrackedRun
from resources.tracking.registry import Registry


class Tracker(Protocol):
    """Keeps one run for each asset materialization, and a registry of the models of each use case."""

    def run(
        self, experiment: str, name: str, tags: Mapping[str, str], description: str = "", *, fluent: bool = False
    ) -> AbstractContextManager[TrackedRun]:
        """Open a run for a block; it has failed if the block raises, else it is finished.

        If it is `fluent`, what other code logs in the block by the tracker's own functions is in this run as well.
        """

    def registry(self, name: str) -> Registry:
        """Return the registry of a model, to be looked at."""

    def promotion(self, name: str) -> AbstractContextManager[Registry]:
        """Open the registry of a model for changes; one step at a time has it."""

    def version(self, name: str, alias: str) -> str | None:
        """Return the number of the version of a model that carries an alias; None if none does."""

    def champion(self, name: str) -> RegisteredVersion | None:
        """Return the champion, None if there is none; raise RegistryError, with the way out, if it is lost."""

    def coordinates(self, name: str, version: str) -> str | None:
        """Return the id of the coordinates of a registered version; None where there is no such version."""

    def aliased(self) -> Iterator[str]:
        """Yield the ids of the coordinates of every registered version that carries an alias."""

    def onnx(self, name: str, version: str) -> bytes:
        """Return the ONNX file of a version; raise RegistryError, with the way out, unless it is as registered."""

    def version_link(self, name: str, version: str) -> str:
        """Return the page of a registered version in the tracker's UI."""

    def dagster_links(self, run_id: str, asset: str) -> tuple[str, str]:
        """Return the pages of a run and of an asset in the Dagster UI."""


def asset_run(
    tracker: Tracker, key: dg.AssetKey, dagster_run: str, *, fluent: bool = False
) -> AbstractContextManager[TrackedRun]:
    """Open the run of an asset in the experiment of its use case; tags and text lead to the Dagster run and the asset.

    The use case is what the key begins with.
    """
    case, *rest = key.path
    name = key.to_user_string()
    run, asset = tracker.dagster_links(dagster_run, "/".join(key.path))
    tags = {"dagster.run_id": dagster_run, "dagster.asset_key": name}
    text = f"[Dagster run]({run}), which materialized the asset [{name}]({asset})"
    return tracker.run(case, "/".join(rest) or case, tags, text, fluent=fluent)
