"""The extensions of docs/extending.md, all of them in one copy of the project, in one run."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from dagster_project.definitions import PINNED

ROOT = Path(__file__).parents[2]
PAGE, GATES = ROOT / "docs" / "extending.md", ROOT / "docs" / "gates.md"
RUN = """
import json, sys
import dagster as dg
from dagster_project.definitions import defs
from ml.evaluation.record import Evaluation
from resources.storage import find

keys = [dg.AssetKey(["churn", *name.split("/")]) for name in sys.argv[1:]]
job = defs().get_repository_def().get_job("churn_retrain")
with dg.DagsterInstance.get() as instance:
    done = job.execute_in_process(instance=instance, asset_selection=keys, raise_on_error=True)
    storage = defs().resources["storage"]
    load = lambda name: storage.load(find(instance, dg.AssetKey(["churn", name])))
    print(json.dumps({
        "models": [name for name, _ in load("leaderboard").ranking],
        "metrics": load("evaluation").metrics,
        "checks": {check.check_name: check.passed for check in done.get_asset_check_evaluations()},
        "calls": load("calls")["score"].tolist(),
    }))
"""


def blocks(language: str, page: Path = PAGE) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.S)


def extend(project: Path) -> None:
    """Write the files of the page, and its lines into the files that it names."""
    for block in blocks("python") + blocks("python", GATES):
        heading, _, code = block.partition("\n")
        place = re.fullmatch(r"# ([\w/]+\.py)(?:: a line of (\w+))?", heading)
        assert place is not None, heading
        file = project / place[1]
        file.write_text(with_line(file.read_text(), place[2], code) if place[2] else block)


def with_line(text: str, collection: str, code: str) -> str:
    """Return a module with a line more in one of its collections, and with what that imports."""
    imports = "".join(line for line in code.splitlines(keepends=True) if line.startswith("from "))
    line = code.removeprefix(imports)
    whole = rf"^{collection}\b.*? = \(\n.*?(?=^\))"
    longer, times = re.subn(whole, lambda match: match[0] + line, text, flags=re.S | re.M)
    assert times == 1, collection
    return re.sub(r"^from ", f"{imports}from ", longer, count=1, flags=re.M)


def merged(declared: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Return a declaration with what another says more."""
    both = {key: merged(declared[key], more[key]) for key in declared.keys() & more.keys()
            if isinstance(more[key], dict) and key != "source"}  # fmt: skip
    return {**declared, **more, **both}


def documents() -> Iterator[dict[str, Any]]:
    """Yield the scaffolded declaration with all pieces of the page, and the documents that stand beside it."""
    declared = yaml.safe_load((ROOT / "dagster_project" / "location" / "use_case.yaml").read_text())
    pieces = [piece for block in blocks("yaml") for piece in yaml.safe_load_all(block)]
    for piece in pieces:
        if "type" not in piece:
            declared["attributes"] = merged(declared["attributes"], piece)
    yield declared
    yield from (piece for piece in pieces if "type" in piece)


@pytest.fixture
def project(tmp_path: Path, home: Path, copy_project: Callable[[Path], Path]) -> Path:
    """Return a copy of the project with all extensions, and tables for its use case `churn`."""
    project = copy_project(tmp_path / "project")
    (project / "configs" / "churn").mkdir()
    (project / "data").mkdir()
    extend(project)
    (project / "configs" / "churn" / "defs.yaml").write_text(yaml.safe_dump_all(documents()))
    random = np.random.default_rng(0)
    left = random.integers(0, 2, 400)
    customers = pd.DataFrame({"customer_id": range(400), "x": left + random.normal(size=400)})
    customers.assign(left_within_30_days=left == 1).to_csv(project / "data" / "customers.csv", index=False)
    visits = pd.DataFrame({"visit_id": range(5), "pages": range(5)})
    visits.to_json(project / "data" / "visits.jsonl", orient="records", lines=True)
    return project


@pytest.mark.slow
def test_all_extensions_work_together(project: Path) -> None:
    environment = {**os.environ, **PINNED, "PYTHONPATH": str(project)}
    assets = ["raw/customers", "raw/visits", "examples", "feature_definitions", "features/development", "features/test"]
    assets += ["feature_selection", "models/lasso", "models/stumps", "models/logistic", "models/lightgbm"]
    assets += ["leaderboard", "onnx_model", "evaluation", "production_model", "predictions", "calls"]

    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", RUN, *assets],
        cwd=project, env=environment, capture_output=True, text=True,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout.splitlines()[-1])
    assert {"lasso", "stumps"} < set(results["models"])
    assert 0.5 < results["metrics"]["spherical"] < 1
    assert {name: results["checks"][name] for name in ("enough_test_rows", "rows", "spherical")} == {
        "enough_test_rows": True, "rows": True, "spherical": True,
    }  # fmt: skip
    assert len(results["calls"]) == 10
    assert results["calls"] == sorted(results["calls"], reverse=True)
