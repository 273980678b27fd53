"""Results that nothing needs are removed, and nothing else."""

import json
import os
import shutil
import sqlite3
import time
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner, Result
from dagster._core.remote_origin import ManagedGrpcPythonEnvCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.test_utils import create_run_for_test
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._daemon.types import DaemonHeartbeat

from dagster_project.commands.main import main
from dagster_project.results.gc import Garbage, garbage, remove
from resources.bentos import BentoStore
from resources.ledger import Ledger
from resources.storage import Storage, Stored
from resources.studies import studies
from resources.tracking.runs import tracking
from tests.support.edited import in_home
from tests.support.small import Small, copy_home, write_rows

_LOCATION = ManagedGrpcPythonEnvCodeLocationOrigin(LoadableTargetOrigin(module_name="dagster_project.definitions"))
ORIGIN = RemoteJobOrigin(RemoteRepositoryOrigin(_LOCATION, "__repository__"), "small_retrain")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def garbage_now(older_than: timedelta = timedelta(0)) -> list[Garbage]:
    return garbage(Ledger(), Storage(), BentoStore(), tracking(), studies(), older_than)


def file_of(identity: str) -> str:
    return Storage().uri(Stored(**Ledger().records[identity]["result"]))


def loads(identity: str) -> bool:
    return Path(file_of(identity)).exists()


def chain(identity: str) -> set[str]:
    return {identity, *(other for _, other, _ in Ledger().upstream(identity))}


@pytest.fixture(scope="module")
def made(empty_home: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Make a champion, then an evaluation that led to no promotion, then the latest one, to be copied."""
    folder = tmp_path_factory.mktemp("made")
    shutil.copytree(empty_home, folder / "home")
    write_rows(folder / "rows.csv")
    with pytest.MonkeyPatch.context() as patch:
        in_home(folder / "home", patch)
        use_case = Small(folder / "home", folder / "rows.csv")
        champion = use_case.materialize()
        use_case.materialize(until="evaluation", seed=1)
        use_case.materialize(until="evaluation", seed=2)
    return folder, champion


@pytest.fixture
def promoted(made: tuple[Path, str]) -> str:
    return made[1]


@pytest.fixture
def small(made: tuple[Path, str], home: Path, monkeypatch: pytest.MonkeyPatch) -> Small:
    in_home(home, monkeypatch)
    copy_home(made[0] / "home", home)
    return Small(home, made[0] / "rows.csv")


def test_only_what_neither_a_promotion_nor_an_asset_shows_is_found(small: Small, promoted: str) -> None:
    ledger = Ledger()
    seeds = {identity: record["seed"] for identity, record in ledger.records.items()}

    def files(record: dict[str, Any]) -> set[str]:
        """The file of a result, and those that are stored with it."""
        return {Storage().uri(Stored(**stored)) for stored in (record["result"], *record["attached"].values())}

    unneeded = {file for identity, seed in seeds.items() if seed == 1 for file in files(ledger.records[identity])}
    needed = {file for identity, seed in seeds.items() if seed != 1 for file in files(ledger.records[identity])}

    paths = {piece.path.removeprefix("file://") for piece in garbage_now() if piece.kind != "study"}

    reports = {path for path in paths if "/report/" in path}
    assert paths - reports == unneeded - needed
    assert len(reports) == 1
    assert {piece.kind for piece in garbage_now()} >= {"small/models/logistic", "small/onnx_model", "small/evaluation"}


def test_young_results_stay(small: Small, promoted: str) -> None:
    assert garbage_now(timedelta(hours=1)) == []


def test_a_dry_run_removes_nothing_and_says_what_it_would(small: Small, promoted: str) -> None:
    make_old(small.home)
    before = sorted(small.home.rglob("*"))

    shown = run("gc", "--dry-run")

    assert shown.exit_code == 0
    assert sorted(small.home.rglob("*")) == before
    assert "small/onnx_model" in shown.output
    assert "files, Bentos and studies would be removed" in shown.output


def make_old(home: Path) -> None:
    """Date everything back, as if it had been made in 2020."""
    for file in (home / "coordinates").glob("*.json"):
        text = file.read_text()
        made_at = text.partition('"made_at": "')[2][:4]
        file.write_text(text.replace(f'"made_at": "{made_at}', '"made_at": "2020'))
    with closing(sqlite3.connect(home / "studies" / "studies.db")) as database, database:
        database.execute("update trials set datetime_start = '2020-01-01', datetime_complete = '2020-01-01'")
    for part in ("storage", "archive", "bentoml"):
        for path in (home / part).rglob("*"):
            os.utime(path, (1577836800, 1577836800))


@pytest.mark.slow
def test_after_it_the_champion_can_be_reproduced_and_everything_made_again(small: Small, promoted: str) -> None:
    other = next(i for i, r in Ledger().records.items() if r["seed"] == 1 and r["run"]["asset"] == "small/evaluation")
    make_old(small.home)

    removed = run("gc")

    assert removed.exit_code == 0
    assert " removed" in removed.output
    assert garbage_now() == []
    assert all(map(loads, chain(promoted)))
    assert not loads(other)
    assert run("locate", other).exit_code == 0
    reproduction = run("reproduce", "small@champion", "--json")
    assert reproduction.exit_code == 0, reproduction.output
    assert {row["coordinates"] for row in json.loads(reproduction.stdout)} >= {promoted}
    assert loads(small.materialize(until="evaluation", seed=1))


@pytest.mark.parametrize("lost", ["onnx_model", "evaluation", "the latest evaluation"])
def test_where_the_ledger_lost_a_file_nothing_goes_that_may_belong_to_what_it_told_of(
    small: Small, promoted: str, lost: str
) -> None:
    make_old(small.home)
    model = str(Ledger().records[promoted]["data"]["onnx_model"]["coordinates"])
    latest = str(Ledger().latest_of("small/evaluation"))
    identity = {"onnx_model": model, "evaluation": promoted}.get(lost, latest)
    (small.home / "coordinates" / f"{identity}.json").unlink()

    shown = run("gc")

    assert shown.exit_code == 0
    assert f"for the coordinates {identity} are missing in {small.home / 'coordinates'}" in shown.output
    assert "in 0 files, Bentos and studies removed" in shown.output


def test_a_champion_whose_promotion_was_never_recorded_keeps_its_ancestors(small: Small, promoted: str) -> None:
    model = str(Ledger().records[promoted]["data"]["onnx_model"]["coordinates"])
    for identity, record in Ledger().records.items():
        if "model" in record["labels"] or record["run"]["asset"] == "small/predictions":
            (small.home / "coordinates" / f"{identity}.json").unlink()
    make_old(small.home)

    paths = {piece.path.removeprefix("file://") for piece in garbage_now()}

    ancestors = {file_of(identity) for identity in chain(model)}
    assert len(ancestors) > 5
    assert not paths & ancestors


def test_what_a_step_that_died_left_behind_goes_once_it_is_old(small: Small, promoted: str) -> None:
    left = small.home / "storage" / "small" / "examples" / "0.parquet.part"
    left.write_bytes(b"half")
    archive = small.home / "archive" / f"{'0' * 64}.tar.xz"
    archive.write_bytes(b"source of nothing")

    young, old = garbage_now(timedelta(hours=1)), garbage_now()

    assert young == []
    assert {Garbage("unknown", left.as_uri(), 4), Garbage("source", archive.as_uri(), 17)} <= set(old)


def test_studies_of_needed_models_stay_and_others_go(small: Small, promoted: str) -> None:
    records = Ledger().records.values()
    seed = {record["labels"]["study"]: record["seed"] for record in records if "study" in record["labels"]}

    old = {piece.path for piece in garbage_now() if piece.kind == "study"}

    assert old == {study for study, of in seed.items() if of == 1}
    assert len(seed) == 3
    remove([piece for piece in garbage_now() if piece.kind == "study"], studies())
    assert set(studies().last_used()) == seed.keys() - old


def test_what_killed_fits_and_searches_left_goes_once_it_is_old(small: Small, promoted: str) -> None:
    left = {"checkpoint": small.home / "checkpoints" / "a.pt", "rows": small.home / "studies/rows/small/mlp/0/X.npy"}
    for file in left.values():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"half")

    assert garbage_now(timedelta(hours=1)) == []
    assert {Garbage(kind, file.as_uri(), 4) for kind, file in left.items()} <= set(garbage_now())


@pytest.mark.parametrize("name", ["building-x1", "removing- x@1", "sextant-7-01234567.1_elsewhere~x1"])
def test_a_bento_that_was_never_done_goes_once_it_is_old(small: Small, promoted: str, name: str) -> None:
    left = small.home / "bentoml" / name
    left.mkdir(parents=True)
    (left / "half").write_bytes(b"half")

    young, old = garbage_now(timedelta(hours=1)), [piece for piece in garbage_now() if piece.kind == "bento"]
    remove(old, studies())

    assert (young, old) == ([], [Garbage("bento", f"file://{left}", 4)])
    assert not left.exists()


def test_bentos_of_promoted_versions_stay_and_superseded_ones_go(small: Small, promoted: str) -> None:
    bentos = small.home / "bentoml" / "bentos" / "small"
    for version in ("1-old", "1-first"):
        (bentos / version).mkdir(parents=True)
        (bentos / version / "bento.yaml").write_text("name: small")
    (bentos / "latest").write_text("1-first")

    old = [piece for piece in garbage_now() if piece.kind == "bento"]
    make_old(small.home)
    run("gc")

    assert old == [Garbage("bento", (bentos / "1-old").as_uri(), 11)]
    assert sorted(path.name for path in bentos.iterdir()) == ["1-first", "latest"]


def test_it_refuses_while_a_run_is_under_way(small: Small, promoted: str) -> None:
    with dg.DagsterInstance.get() as instance:
        under_way = create_run_for_test(instance, status=dg.DagsterRunStatus.STARTED)
    make_old(small.home)

    refused = run("gc")

    assert refused.exit_code == 1
    assert under_way.run_id in refused.output
    assert garbage_now()


@pytest.mark.parametrize("heard_s", [None, 3600, 0])
def test_a_queued_run_is_under_way_only_where_a_daemon_may_begin_it(
    small: Small, promoted: str, heard_s: int | None
) -> None:
    with dg.DagsterInstance.get() as instance:
        queued = create_run_for_test(instance, status=dg.DagsterRunStatus.QUEUED, remote_job_origin=ORIGIN)
        if heard_s is not None:
            instance.add_daemon_heartbeat(DaemonHeartbeat(time.time() - heard_s, "QUEUED_RUN_COORDINATOR", "d"))

    shown = run("gc")

    assert shown.exit_code == (1 if heard_s == 0 else 0)
    assert (f"{queued.run_id} (queued)" in shown.output) is (heard_s == 0)


@pytest.mark.parametrize("age", ["30", "-1d", "a month"])
def test_an_age_that_is_none_is_explained(age: str) -> None:
    refused = run("gc", f"--older-than={age}")

    assert refused.exit_code == 2
    assert "write a whole number and s, m, h or d" in refused.output
