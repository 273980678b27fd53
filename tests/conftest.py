"""Every test has its own SEXTANT_HOME."""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import dagster as dg
import pytest
from xdist.scheduler import LoadScopeScheduling

from ml.provenance.source import PACKAGES
from resources.home import QUIET

pytest_plugins = ["tests.support.small", "tests.support.edited", "tests.support.packaged"]

ROOT = Path(__file__).parents[1]

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
os.environ |= QUIET
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else each process that a test starts compiles the whole project

MEMORY, ENOUGH = Path("/dev/shm"), 6 << 30  # bytes that must be free there: a whole run leaves about 3 GB
if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free >= ENOUGH:
    # A fresh home makes some eight hundred commits to databases, each of which waits for a disk. What a test kills
    # loses nothing that it has written; only a machine without power would, which no test plays.
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


@pytest.fixture(scope="session", autouse=True)
def shared_engines() -> Iterator[None]:
    """Let Dagster keep connections to SQLite while an instance is open, the SQL that it has compiled, and migrations.

    It makes an engine and a connection for each query, of which a run in this process asks hundreds: half of its time.
    """
    from alembic.script import ScriptDirectory
    from dagster._core.storage.event_log.sqlite import sqlite_event_log
    from dagster._core.storage.runs.sqlite import sqlite_run_storage
    from dagster._core.storage.schedules.sqlite import sqlite_schedule_storage

    make, close, read = sqlite_event_log.create_engine, dg.DagsterInstance.dispose, ScriptDirectory.from_config
    engines, disposals = dict[tuple[str, int], Any](), dict[tuple[str, int], Callable[[], None]]()
    migrations = dict[str, ScriptDirectory]()

    def shared(url: str, *, poolclass: object, **options: Any) -> Any:
        file = Path(url.removeprefix("sqlite:///"))
        key = url, file.stat().st_ino if file.exists() else 0
        if key not in engines:
            engines[key] = make(url, **options)
            disposals[key] = engines[key].dispose
            engines[key].dispose = lambda: None  # it does so after each query
        return engines[key]

    def closed(instance: dg.DagsterInstance) -> None:
        close(instance)
        for dispose in disposals.values():
            dispose()

    def known(config: Any) -> ScriptDirectory:
        folder = config.get_main_option("script_location")
        if folder not in migrations:
            migrations[folder] = read(config)
        return migrations[folder]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ScriptDirectory, "from_config", known)
        for storage in (sqlite_event_log, sqlite_run_storage, sqlite_schedule_storage):
            patch.setattr(storage, "create_engine", shared)
        patch.setattr(dg.DagsterInstance, "dispose", closed)
        yield


@pytest.fixture(scope="session", autouse=True)
def blank_pictures() -> Iterator[Callable[..., None]]:
    """Leave the pictures of reports blank, but for what is written into their files: to draw them is a third of a run.

    Those of tests that look at them, and of commands in processes of their own, are drawn. Yields what draws.
    """
    from matplotlib.figure import Figure
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    draw = Figure.savefig

    def blank(figure: Figure, file: Any, *, format: str, dpi: int, metadata: Mapping[str, str | None] = {}) -> None:
        about = PngInfo()
        for name, text in metadata.items():
            if text is not None:
                about.add_text(name, text)
        Image.new("1", (1, 1)).save(file, format, pnginfo=about)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", blank)
        yield draw


@pytest.fixture
def drawn(blank_pictures: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Have pictures drawn, for tests that look at them."""
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", blank_pictures)


@pytest.fixture(scope="session")
def need() -> Callable[[object, str], None]:
    """Ends a test that lacks a program: skipped on a developer's machine, failed in CI, which installs them all."""

    def check(found: object, package: str) -> None:
        if not found:
            (pytest.fail if os.environ.get("CI") else pytest.skip)(f"needs {package}: apt-get install {package}")

    return check


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    monkeypatch.setenv("SEXTANT_HOME", str(folder))
    monkeypatch.setenv("DAGSTER_HOME", str(folder / "dagster"))
    (folder / "dagster").mkdir(parents=True)
    (folder / "dagster" / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    return folder


@pytest.fixture(scope="session")
def copy_project() -> Callable[[Path], Path]:
    """Copies the project to a folder, for tests that change its configs: with its bytecode, which is made once so."""

    def copy(folder: Path) -> Path:
        folder.mkdir(exist_ok=True)
        for file in ("pyproject.toml", "workspace.yaml"):
            shutil.copy(ROOT / file, folder)
        for package in PACKAGES:
            shutil.copytree(ROOT / package, folder / package)
        return folder

    return copy


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of an empty bucket of an object store on this machine."""
    import s3fs
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    bucket = f"sextant-{uuid4().hex}"  # the fake keeps its buckets for as long as the process lives
    s3fs.S3FileSystem().mkdir(bucket)
    yield f"s3://{bucket}"
    s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skips a test of a real GPU where there is none; asking torch would start CUDA before the test leases its GPU."""
    if item.get_closest_marker("gpu"):
        from ml.base.gpus import present, torch_without_cuda

        if lacking := torch_without_cuda() if present() else "there is no GPU":
            pytest.skip(lacking)


class ByModule(LoadScopeScheduling):
    """Give a worker all tests of a module, or of one running Sextant: what they share is made once."""

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.partition("::")[0]
        return str(Path(module).parent) if "/live/" in module else module


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByModule:
    """Return the scheduler of workers: modules in their order, not those with most tests first."""
    config.option.loadscopereorder = False
    return ByModule(config, log)


LONGEST_FIRST = ("live", "journeys", "dagster_project", "deploy", "docs", "assets", "resources", "contract", "service")
# With these a whole use case is run, or commands in processes of their own.
SLOW_FIXTURES = {"small", "case", "project", "copy_project", "promoted", "packaged", "edited"}
SLOW_FOLDERS = {"live", "journeys", "deploy"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the slow ones, and begin with the folders whose modules take longest: no worker is left with one alone."""

    def folder(item: pytest.Item) -> str:
        return item.path.relative_to(ROOT / "tests").parts[0]

    for item in items:
        if folder(item) in SLOW_FOLDERS or SLOW_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)
    order = {name: place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: order.get(folder(item), len(order)))
