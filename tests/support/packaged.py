"""A champion with its bundle in the store of Bentos, as `bento` leaves it, without a Bento's build and trial."""

import os
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from assets.framework.case import Case
from assets.graph import all_assets
from dagster_project.components import UseCase
from dagster_project.definitions import PINNED, resources
from resources.bentos import BentoStore
from resources.tracking.runs import Tracking
from tests.support.dated import Dated, frame
from tests.support.small import Small, copy_home


class Unbuilt(BentoStore):
    """Puts the bundle where a Bento has it: to build and start one takes ten seconds."""

    def build(
        self,
        name: str,
        version: str,
        bundle: Mapping[str, bytes],
        labels: Mapping[str, str],
        tolerance: float,
        extras: Collection[str] = (),
    ) -> float:
        put_bundle(self.folder(), name, version, bundle)
        self.put_first(f"{name}:{version}")
        return 0.0


def pyfunc(tracking: Tracking, uri: str) -> Any:
    """What MLflow loads from the registry of a tracker, without a trace in its globals or in the environment."""
    import mlflow
    from mlflow.tracking._tracking_service.utils import _use_tracking_uri

    with _use_tracking_uri(tracking.tracking_uri()):
        model = mlflow.pyfunc.load_model(uri)
    os.environ.pop("MLFLOW_TRACKING_URI", None)  # which MLflow has set, and which is a setting of ours
    return model


def put_bundle(store: Path, name: str, version: str, bundle: Mapping[str, bytes]) -> Path:
    """Write a Bento's files that its bundle is made of, make it the first one of its name, and return its bundle."""
    bento = store / "bentos" / name / version
    folder = bento / "src" / "bundle"
    folder.mkdir(parents=True)
    (bento / "bento.yaml").write_text(f"name: {name}\n")
    for file, content in bundle.items():
        (folder / file).write_bytes(content)
    (store / "bentos" / name / "latest").write_text(version)
    return folder


@pytest.fixture(scope="session")
def packaged_home(promoted: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of `promoted` with the bundle of its champion, to be copied."""
    home = tmp_path_factory.mktemp("packaged") / "home"
    copy_home(promoted / "home", home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEXTANT_HOME", str(home))
        patch.setenv("DAGSTER_HOME", str(home / "dagster"))
        for name, value in PINNED.items():
            patch.setenv(name, value)
        dated = Dated(home, promoted / "rows.csv")
        dated.use(frame())
        case = Case("small", UseCase.model_validate(dated.declared()))
        selection = dg.AssetSelection.assets(case.key("online_state"), case.key("bento"))
        with dg.DagsterInstance.get() as instance:
            given = {**resources(), "bentos": Unbuilt()}
            assert dg.materialize(all_assets(case), resources=given, instance=instance, selection=selection).success
    return home


@pytest.fixture
def packaged(packaged_home: Path, promoted: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Small:
    """The use case `dated.Dated` with a champion and its bundle, in a home of the test's own."""
    for name, value in PINNED.items():
        monkeypatch.setenv(name, value)
    shutil.rmtree(home)
    copy_home(packaged_home, home)
    return Dated(home, promoted / "rows.csv")
