"""A use case that takes seconds, with history and two families; and the home of its first full run."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from assets.framework.case import Case
from assets.framework.metadata import REUSED, SHOWN_ANEW
from assets.graph import all_assets
from dagster_project.components import UseCase
from dagster_project.definitions import PINNED, resources
from ml.provenance.source import Source, running
from resources.ledger import Ledger
from tests.support.dated import Dated, frame

HISTORY = {"table": "rows", "group_by": ["g"], "windows": ["3d"], "aggregations": ["count", "mean"]}
BASE: dict[str, Any] = {
    "features": {"history": HISTORY},
    "models": {"logistic": {"trials": 1}, "lightgbm": {"trials": 1}},
    "gates": {"champion": {"not_worse_by": 1.0}, "slices": "off", "calibration": "off", "latency": "off"},
}
SEARCHED = {"leaderboard", "onnx_model", "evaluation"}  # what follows from a search
MATRIX = {"feature_definitions", "features/development", "features/test", "feature_selection"}
MODELS = {"models/logistic", "models/lightgbm"}
Edit = Callable[[str, str, str], None]  # the path of a file of the project, a text in it, and another one for it
SERVED = {"production_model", "online_state", "predictions", "bento"}


@dataclass(frozen=True)
class Outcome:
    """The assets that a run made anew, or whose content another look found changed, and those that it showed anew."""

    made: set[str]
    shown: set[str]


class Edited(Dated):
    """The use case in a home where it was run once."""

    def declared(self, **changes: Any) -> dict[str, Any]:
        return super().declared(**{**BASE, **changes})

    def run(self, **changes: Any) -> Outcome:
        """A run of all assets after an edit."""
        before = {path.relative_to(self.latest).with_suffix("").as_posix(): path.read_text() for path in self.results}
        hashes = {asset: self.content_of(asset) for asset in before}
        case = Case("small", UseCase.model_validate(self.declared(**changes)))
        with dg.DagsterInstance.get() as instance:
            done = dg.materialize(all_assets(case), resources=resources(), instance=instance)
        events = [event.materialization for event in done.get_asset_materialization_events()]
        fresh = {event.asset_key.to_user_string() for event in events if REUSED not in event.metadata}
        looked_at = {asset for asset in fresh if asset.startswith("small/raw/") or asset == "small/production_model"}
        same = {asset for asset in looked_at if hashes.get(asset) == self.content_of(asset)}
        shown = {event.asset_key.to_user_string() for event in events if SHOWN_ANEW in event.metadata}
        return Outcome(*({asset.partition("/")[2] for asset in assets} for assets in (fresh - same, shown)))

    @property
    def latest(self) -> Path:
        return self.home / "coordinates" / "latest"

    @property
    def results(self) -> Iterator[Path]:
        return self.latest.rglob("*.json")

    @staticmethod
    def content_of(asset: str) -> str:
        stored = Ledger().latest_result(asset)
        assert stored is not None
        return stored.hash


def in_home(home: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("SEXTANT_HOME", str(home))
    patch.setenv("DAGSTER_HOME", str(home / "dagster"))
    for name, value in PINNED.items():
        patch.setenv(name, value)


@pytest.fixture(scope="session")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the home of a first full run, to be copied."""
    folder = tmp_path_factory.mktemp("first")
    (folder / "home" / "dagster").mkdir(parents=True)
    (folder / "home" / "dagster" / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    with pytest.MonkeyPatch.context() as patch:
        in_home(folder / "home", patch)
        case = Edited(folder / "home", folder / "rows.csv")
        case.use(frame())
        assert case.run().made == {"raw/rows", "examples", "profile", *MATRIX, *MODELS, *SEARCHED, *SERVED}
    return folder


@pytest.fixture
def edit(monkeypatch: pytest.MonkeyPatch) -> Iterator[Edit]:
    """Change the project's source, as this process has read it."""
    read = Source.read

    def change(path: str, old: str, new: str) -> None:
        source = read()
        content = source.files.get(path, b"").decode()
        assert old in content
        files = {**source.files, path: content.replace(old, new, 1).encode()}
        monkeypatch.setattr(Source, "read", classmethod(lambda cls, root=source.root, **how: cls(root, files, **how)))
        running.cache_clear()

    yield change
    running.cache_clear()
