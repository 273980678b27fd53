"""The scratch home of a reproduction, in which the runs find their inputs and leave their results."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import dagster as dg

from dagster_project.results.reproduction.plan import ReproduceError
from resources.ledger import Ledger
from resources.storage import METADATA, Storage, Stored


@dataclass(frozen=True)
class Remade:
    """A result in the scratch home, by the coordinates that it has there."""

    coordinates: str
    stored: Stored


@dataclass(frozen=True)
class Scratch:
    """A folder with a Sextant home of its own, and beside it the projects that the runs are made by."""

    folder: Path

    @property
    def home(self) -> Path:
        """The $SEXTANT_HOME of the runs."""
        return self.folder / "home"

    @cached_property
    def storage(self) -> Storage:
        """The storage of the runs."""
        return Storage(url=str(self.home / "storage"))

    def ledger(self) -> Ledger:
        """Return the coordinates that the runs have left so far."""
        return Ledger(self.home)

    @contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        """Yield the Dagster instance of the runs."""
        folder = self.home / "dagster"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
        with dg.DagsterInstance.from_config(str(folder)) as instance:
            yield instance

    def latest(self, asset: str) -> Remade:
        """Return the result that the latest run has made of an asset; raise ReproduceError if it made none."""
        ledger = self.ledger()
        identity = ledger.latest_of(asset)
        if identity is None:
            raise ReproduceError(f"the run ended well, but made no {asset}")
        return Remade(identity, Stored(**ledger.records[identity]["result"]))


def present(instance: dg.DagsterInstance, asset: str, remade: Remade) -> None:
    """Report a result as the latest materialization of its asset, which is what a run loads."""
    metadata = {
        METADATA: dg.MetadataValue.json(asdict(remade.stored)),
        "coordinates id": dg.MetadataValue.text(remade.coordinates),
    }
    instance.report_runless_asset_event(dg.AssetMaterialization(dg.AssetKey(asset.split("/")), metadata=metadata))
