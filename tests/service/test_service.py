from __future__ import annotations

import ast
import gc
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn.config
from starlette.testclient import TestClient

import service
from service import service as module

FOLDER = Path(service.__file__).parent


@pytest.fixture
def restored(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Undoes what a start does to the whole process."""
    monkeypatch.setattr(uvicorn.config, "HTTP_PROTOCOLS", dict(uvicorn.config.HTTP_PROTOCOLS))
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)
    module.served.version = None
    module.served.not_ready = "the model is being loaded"


def test_the_bundle_lies_beside_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEXTANT_BUNDLE", raising=False)

    assert module.bundle_folder() == FOLDER.parent / "bundle"


def test_the_environment_may_name_another_bundle(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SEXTANT_BUNDLE", str(tmp_path))

    assert module.bundle_folder() == tmp_path


def test_events_are_logged_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SEXTANT_EVENTS", raising=False)
    assert module.events_place() is None

    monkeypatch.setenv("SEXTANT_EVENTS", str(tmp_path))
    assert module.events_place() == str(tmp_path)


@pytest.mark.slow
@pytest.mark.usefixtures("restored")
def test_bentoml_serves_the_application_and_asks_it_for_readiness(
    monkeypatch: pytest.MonkeyPatch, write_bundle: Any, record: dict[str, Any]
) -> None:
    monkeypatch.setenv("SEXTANT_BUNDLE", str(write_bundle()))

    bento: Any = module.ModelService  # typed as the class, though the decorator makes it a service

    # one test for all of it: BentoML can register its metrics once in a process
    with TestClient(bento.to_asgi()) as client:
        assert client.get("/livez").status_code == 200
        assert client.get("/readyz").status_code == 200
        assert client.post("/predict", json=record).json()["model"] == "flight_delays:3"
        assert client.get("/").json()["use_case"] == "flight_delays"
        assert "there is no /docs.json" in client.get("/docs.json").json()["error"]
        assert client.get("/predict").status_code == 405

        module.served.load(write_bundle(golden_score=0.1))
        assert client.get("/livez").status_code == 200
        assert client.get("/readyz").status_code == 503


@pytest.mark.slow
def test_importing_the_service_needs_no_bundle_and_nothing_heavy(tmp_path: Path) -> None:
    heavy = "{'duckdb', 'grpc', 'onnxruntime', 'pandas', 'pyarrow', 'sklearn', 'dagster', 'mlflow', 'torch'}"
    code = f"import sys, service.service; print(sorted({heavy} & set(sys.modules)))"

    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(FOLDER.parent), "BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == "[]"


def test_importing_the_plan_imports_nothing_that_serves() -> None:
    modules = [f"service.plan.{path.stem}" for path in sorted((FOLDER / "plan").glob("[!_]*.py"))]
    serving = {"anyio", "bentoml", "duckdb", "numpy", "onnxruntime", "pyarrow", "starlette"}
    code = f"import sys, {', '.join(modules)}; print(*sys.modules)"

    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(FOLDER.parent)}, capture_output=True, text=True, check=True
    )

    imported = set(done.stdout.split())
    assert imported & serving == set()
    assert {name for name in imported if name.startswith("service.")} == {"service.plan", *modules}


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.py")), ids=lambda path: str(path.relative_to(FOLDER)))
def test_the_package_imports_itself_the_standard_library_and_a_few_others(path: Path) -> None:
    allowed = {
        "anyio",
        "bentoml",
        "duckdb",
        "httptools",
        "msgspec",
        "numpy",
        "onnxruntime",
        "prometheus_client",
        "pyarrow",
    }
    allowed |= {"google", "grpc", "psycopg2", "service", "starlette", "uvicorn"}  # of some, where a setting asks for it

    imported = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])

    assert imported - set(sys.stdlib_module_names) <= allowed
