"""A process is killed at any point of any write, a disk is full, read only or locked: nothing is wrong afterwards.

Most points are tried by `pytest -m faults` alone.
"""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path

import dagster as dg
import psutil
import pytest
from click.testing import CliRunner

from dagster_project.commands.main import main
from dagster_project.definitions import PINNED, PRELOAD
from dagster_project.location import reaper
from dagster_project.location.reaper import BEGUN, reap
from ml.exported.model import ExportedModel
from resources.bentos import BentoStore
from resources.home import keep_to_home
from resources.ledger import Ledger
from resources.storage import Storage, Stored
from resources.tracking.runs import tracking
from tests.resources.test_databases import held
from tests.support.dated import PRODUCTION, Dated, frame
from tests.support.faulty import OF_BENTO, POINTS, Fault, Point, attempt

FULL_AT = ["storage: table written, not in place", "study: trial recorded", "registry: registered"]
BENTO_FULL_AT = ["Bento: not built", "Bento: built, not started", "Bento: in place, not the first"]
ALWAYS = {
    "storage: model in place, unknown",
    "study: trial fitted, not told",
    "registry: alias moved, not finished",
    "Bento: started, not asked",
}


def some(points: dict[str, Point]) -> list[object]:
    """Return the points as cases of a test, most of which are run on demand."""
    return [pytest.param(name, id=name, marks=() if name in ALWAYS else pytest.mark.faults) for name in points]


@pytest.fixture
def changed(promoted: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dated:
    """A use case with a champion, and with new data, from which another model is learned."""
    for name, value in PINNED.items():
        monkeypatch.setenv(name, value)
    keep_to_home()
    shutil.copytree(promoted / "home", home, dirs_exist_ok=True)
    case = Dated(home, tmp_path / "rows.csv")
    case.use(frame().assign(x_a=lambda rows: rows["x_a"] * 1.5))
    return case


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take a run that no process has begun for one that none will, without the minutes that this takes."""
    monkeypatch.setattr(reaper, "UNKNOWN_FOR", timedelta(0))


def suffer(case: Dated, point: Point, fault: Fault = "kill", asset: str = PRODUCTION) -> int | None:
    """Run the use case with a fault in a process of its own; return how that ended."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["tests.support.faulty", *PRELOAD])
    process = context.Process(target=attempt, args=(case.home, case.rows, point, fault, asset))
    process.start()
    process.join()
    return process.exitcode


def check(case: Dated, champions: set[str]) -> None:
    """Check that after a fault nothing is half-written or open, and that the champion answers."""
    with dg.DagsterInstance.get() as instance:
        reap(instance)
        assert instance.get_runs(dg.RunsFilter(statuses=BEGUN)) == []
        assert reap(instance) == []
    client = tracking().client()
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    assert client.search_runs(experiments, "attributes.status = 'RUNNING'") == []
    for record in Ledger().records.values():
        Storage().verify(Stored(**record["result"]))
        Ledger().get(record["id"])
    assert list(case.home.rglob("*.part")) == []
    assert not (case.home / "bentoml").exists() or {p.name for p in (case.home / "bentoml").iterdir()} <= {"bentos"}
    assert marked(case.home) == []
    champion = case.champion()
    assert champion in champions
    rows = Storage().load(Stored(**Ledger().records[Ledger().latest_of("small/features/test") or ""]["result"]))
    assert len(ExportedModel(tracking().onnx("small", str(champion))).scores(rows)) == len(rows)


def marked(home: Path) -> list[int]:
    """Return the processes that tied commands of a home have left."""
    pids = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            environment = process.environ()
            if "SEXTANT_TIED_TO" in environment and environment.get("SEXTANT_HOME") == str(home):
                pids.append(process.pid)
    return pids


@pytest.mark.parametrize("name", some(POINTS))
def test_after_a_kill_the_next_run_succeeds_by_itself(name: str, changed: Dated) -> None:
    assert suffer(changed, POINTS[name]) == -9

    check(changed, {"1", "2"})
    assert changed.retrain().success
    check(changed, {"2"})
    versions = tracking().client().search_model_versions("name = 'small'")
    assert sorted(str(version.version) for version in versions) == ["1", "2"]
    assert [entry.version for entry in tracking().registry("small").entries()] == ["1", "2"]


@pytest.mark.parametrize("name", some(OF_BENTO))
def test_after_a_kill_the_next_bento_is_made(name: str, case: Dated) -> None:
    assert suffer(case, OF_BENTO[name], asset="bento") == -9

    check(case, {"1"})
    assert case.attempt("bento", upstream=True).success
    check(case, {"1"})
    made = Ledger().records[str(Ledger().latest_of("small/bento"))]["labels"]["bento"]
    assert BentoStore().first() == {made}


@pytest.fixture
def small_disk(changed: Dated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Dated]:
    """The use case with its home on a disk of its own; skipped where none can be made."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256m", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("needs the right to mount a tmpfs")
    try:
        shutil.copytree(changed.home, disk / "home")
        monkeypatch.setenv("SEXTANT_HOME", str(disk / "home"))
        monkeypatch.setenv("DAGSTER_HOME", str(disk / "home" / "dagster"))
        yield Dated(disk / "home", changed.rows)
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


@pytest.mark.faults
@pytest.mark.parametrize("name", FULL_AT)
def test_after_a_disk_was_full_the_next_run_succeeds(name: str, small_disk: Dated) -> None:
    suffer(small_disk, POINTS[name], "fill")
    (small_disk.home / "filler").unlink()

    check(small_disk, {"1", "2"})
    assert small_disk.retrain().success
    check(small_disk, {"2"})


@pytest.mark.faults
@pytest.mark.parametrize("name", BENTO_FULL_AT)
def test_after_a_disk_was_full_while_a_bento_was_made_the_next_one_is_made(name: str, small_disk: Dated) -> None:
    suffer(small_disk, OF_BENTO[name], "fill", asset="bento")
    (small_disk.home / "filler").unlink()

    check(small_disk, {"2"})
    assert small_disk.attempt("bento", upstream=True).success
    check(small_disk, {"2"})
    made = Ledger().records[str(Ledger().latest_of("small/bento"))]["labels"]["bento"]
    assert BentoStore().first() == {made}


@pytest.mark.faults
def test_a_home_that_is_read_only_can_be_asked_and_the_next_run_succeeds_once_it_is_not(small_disk: Dated) -> None:
    never = Point("os:replace", "never")
    subprocess.run(["mount", "-o", "remount,ro", small_disk.home.parent], check=True)
    suffer(small_disk, never)
    shown = CliRunner().invoke(main, ["locate", "small@champion"])
    subprocess.run(["mount", "-o", "remount,rw", small_disk.home.parent], check=True)

    assert "small/onnx_model, model small:1" in shown.output
    check(small_disk, {"1"})
    assert small_disk.retrain().success
    check(small_disk, {"2"})


@pytest.mark.faults
def test_a_run_that_finds_a_database_locked_fails_and_the_next_one_succeeds(changed: Dated) -> None:
    with held(changed.home / "mlflow" / "mlflow.db"):
        suffer(changed, Point("os:replace", "never"))

    check(changed, {"1"})
    assert changed.retrain().success
    check(changed, {"2"})
