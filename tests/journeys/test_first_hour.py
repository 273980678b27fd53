"""The first hour of a data scientist: a file, a model that has passed its gates, scores by it, and a service."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from ml.base.processes import tied
from resources.bentos import ask, free_port, stop, wait_until_ready
from tests.support import twins

SEXTANT = Path(sys.executable).parent / "sextant"


@pytest.mark.slow
def test_a_file_becomes_a_model_in_three_commands(
    tmp_path: Path, home: Path, copy_project: Callable[[Path], Path]
) -> None:
    project, (file,) = copy_project(tmp_path / "project"), twins.customers(tmp_path)
    environment = os.environ | {"PYTHONPATH": str(project)}

    def run(*command: str, fails: bool = False) -> str:
        done = subprocess.run([SEXTANT, *command], cwd=project, env=environment, capture_output=True, text=True)
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done.stdout + done.stderr

    assert "name it with --target; likely are Churn" in run("new", "churn", "--from", file, fails=True)
    assert "wrote configs/churn/defs.yaml" in run("new", "churn", "--from", file, "--target", "Churn")
    assert "exists already" in run("new", "churn", "--from", file, "--target", "Churn", fails=True)

    declaration = project / "configs" / "churn" / "defs.yaml"
    text = declaration.read_text()
    declaration.write_text(
        text.replace("key: customerID", "key: customerId").replace("missing: {TotalCharges: [' ']}", "")
    )
    wrong = run("check", "churn", fails=True)
    assert "did you mean 'customerID'" in wrong
    declaration.write_text(text.replace("missing: {TotalCharges: [' ']}", ""))
    wrong = run("check", "churn", fails=True)
    assert (
        "the other 11 are ' ' (11); if these stand for a missing value, write source.missing: {'TotalCharges': [' ']}"
        in wrong
    )
    declaration.write_text(text)
    assert run("check", "churn").count("nothing to say") == 2

    said = run("demo", "churn")

    assert "production  churn version 1" in said
    assert 'answered    {"score": ' in said
    new_rows = pd.read_csv(file).drop(columns="Churn").head(50)
    new_rows.to_csv(tmp_path / "new.csv", index=False)
    run("score", "churn", str(tmp_path / "new.csv"), "--out", str(tmp_path / "scores.csv"))
    scores = pd.read_csv(tmp_path / "scores.csv", float_precision="round_trip")
    assert list(scores["customerID"]) == list(new_rows["customerID"])
    assert scores["score"].between(0, 1).all()
    assert set(scores["decision"]) == {True, False}

    url, columns = f"http://127.0.0.1:{(port := free_port())}", new_rows.columns.drop("customerID")
    record = json.loads(pd.read_csv(file, na_values=" ")[columns].iloc[0].to_json())
    command = tied([str(SEXTANT), "serve", "churn", "--port", str(port)])
    served = subprocess.Popen(command, cwd=project, env=environment, start_new_session=True)
    try:
        assert wait_until_ready(url, served, timeout_s=120)
        answer = ask(url, record)
    finally:
        stop(served)
    assert answer["score"] == scores["score"].iloc[0]
    assert answer["decision"] == scores["decision"].iloc[0]
