"""MLflow's fluent API in code of a user's own logs to the run of its asset, which is ended once, by its step."""

import os
import re
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pytest

from resources.tracking.fluent import FluentError, attach
from resources.tracking.resource import Mlflow
from resources.tracking.runs import Tracking
from tests.support.logging_assets import NAMES
from tests.support.small import Small

ROOT = Path(__file__).parents[3]
EXAMPLES = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "models.md").read_text(), re.S)
LOGGED, SURVEY = EXAMPLES
pytestmark = pytest.mark.filterwarnings("ignore:`y_pred` was renamed:FutureWarning")  # MLflow's call of scikit-learn
VARIABLES = {"MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_ID", "MLFLOW_RUN_ID"}


class Store:
    """MLflow's store in a home, in which a trigger notes every status that a run is given."""

    def __init__(self, home: Path) -> None:
        self.tracking, self.path = Tracking(), home / "mlflow" / "mlflow.db"
        self.uri, self.client = self.tracking.tracking_uri(), self.tracking.client()
        with closing(sqlite3.connect(self.path)) as database, database:
            database.execute("create table statuses (run text, status text)")
            database.execute(
                "create trigger note_status after update of status, end_time on runs "
                "begin insert into statuses values (new.run_uuid, new.status); end"
            )

    def runs(self) -> dict[str, Any]:
        """Return all runs by name, after the name of the run that they are below; no two share it."""
        runs = self.client.search_runs([experiment.experiment_id for experiment in self.client.search_experiments()])
        names = {run.info.run_id: run.info.run_name for run in runs}
        above = [names.get(run.data.tags.get("mlflow.parentRunId")) for run in runs]
        named = [(f"{parent}: " if parent else "") + run.info.run_name for parent, run in zip(above, runs, strict=True)]
        assert [name for name, count in Counter(named).items() if count > 1] == []
        return dict(zip(named, runs, strict=True))

    def ends(self) -> dict[str, list[str]]:
        """Return the statuses by which each run was ended, in order."""
        with closing(sqlite3.connect(self.path)) as database:
            rows = database.execute("select run, status from statuses where status != 'RUNNING' order by rowid")
            statuses = rows.fetchall()
        return {
            name: [status for run_id, status in statuses if run_id == run.info.run_id]
            for name, run in self.runs().items()
        }


@pytest.fixture
def store(stocked_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store; after the test the process is as it was before, and nothing has made a store elsewhere."""
    import mlflow

    workplace = tmp_path / "workplace"
    workplace.mkdir()
    monkeypatch.chdir(workplace)  # where MLflow makes a store for runs that are not ours
    yield Store(stocked_home)
    assert list(workplace.iterdir()) == []
    assert VARIABLES & os.environ.keys() == set()
    assert mlflow.active_run() is None
    assert mlflow.tracking.fluent._active_experiment_id is None


def test_a_fluent_run_has_all_that_is_logged_in_its_block_and_leaves_nothing_behind(store: Store) -> None:
    import mlflow
    from mlflow.utils.autologging_utils import autologging_is_disabled
    from sklearn.linear_model import LogisticRegression

    X = np.random.default_rng(0).normal(size=(50, 3))
    model = LogisticRegression(C=0.5)

    with store.tracking.run("case", "models/own", {"dagster.run_id": "1"}, fluent=True) as run:
        mlflow.sklearn.autolog(log_models=False, log_datasets=False, silent=True)
        model.fit(X, X[:, 0] > 0)
        for number in range(50):
            mlflow.log_metric("loss", number, step=number, synchronous=False)
        run.params({"C": 1.0, "ours": 2})
        trials = run.trials()
        assert trials is not None
        with trials(0):
            mlflow.log_param("depth", "mine")
        run.child("trial 0", {"depth": 3, "width": 4}, {"score": [0.5]}, {"state": "PRUNED"})
        mlflow.start_run(run_name="left open", nested=True)
    model.fit(X, X[:, 0] > 0)  # one that is not the user's, later in this process

    runs = store.runs()
    assert store.ends() == {
        "models/own": ["FINISHED"],
        "models/own: trial 0": ["KILLED"],
        "models/own: left open": ["FINISHED"],
    }
    assert runs["models/own"].data.params["C"] == "0.5"
    assert runs["models/own"].data.params["ours"] == "2"
    assert runs["models/own"].data.metrics.keys() >= {"training_accuracy_score", "loss"}
    assert len(store.client.get_metric_history(run.id, "loss")) == 50
    assert runs["models/own: trial 0"].data.params == {"depth": "mine", "width": "4"}
    assert runs["models/own: trial 0"].data.metrics == {"score": 0.5}
    assert autologging_is_disabled("sklearn")


def test_a_search_that_is_interrupted_leaves_no_run_open(store: Store) -> None:
    import mlflow

    def search() -> None:
        with store.tracking.run("case", "models/own", {}, fluent=True) as run:
            trials = run.trials()
            assert trials is not None
            with trials(0):
                mlflow.log_param("depth", 3)
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search()

    assert store.ends() == {"models/own": ["FAILED"], "models/own: trial 0": ["KILLED"]}


def test_a_run_that_is_active_is_not_taken_for_another(store: Store) -> None:
    with (
        store.tracking.run("case", "one", {}, fluent=True) as one,
        store.tracking.run("case", "two", {}) as two,
        pytest.raises(FluentError, match=f"the MLflow run {one.id} is active; end it before {two.id}"),
        attach(store.uri, two.id, ""),
    ):
        pass

    assert store.ends() == {"one": ["FINISHED"], "two": ["FINISHED"]}


def test_the_asset_of_the_documentation_logs_to_the_one_run_of_its_step(store: Store) -> None:
    example: dict[str, Any] = {}
    exec(SURVEY, example)

    assert dg.materialize([example["survey"]], resources={"mlflow": Mlflow(tracking=store.tracking)}).success

    survey = store.runs()["survey"]
    assert store.ends() == {"survey": ["FINISHED"]}
    assert survey.data.params == {"wave": "3", "country": "NL"}
    assert survey.data.metrics == {"answers": 412}
    assert survey.data.tags["dagster.asset_key"] == "churn/survey"
    assert store.client.get_experiment(survey.info.experiment_id).name == "churn"


@pytest.mark.slow
def test_steps_at_the_same_time_have_a_run_each_that_ends_as_they_do(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meeting = tmp_path / "meeting"
    meeting.mkdir()
    monkeypatch.setenv("MEETING", str(meeting))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))

    command = [sys.executable, "-W", "ignore", "-m", "tests.support.logging_assets"]
    process = subprocess.run(command, capture_output=True, text=True, timeout=300)

    runs = store.runs()
    assert runs.keys() == set(NAMES), process.stderr[-4000:]
    assert store.ends() == {
        "one": ["FINISHED"],
        "other": ["FINISHED"],
        "failing": ["FAILED"],
        "terminated": ["FAILED"],
        "killed": [],  # nobody is left to end it, and it never looks finished
    }
    assert {name: run.data.params["name"] for name, run in runs.items()} == {name: name for name in NAMES}
    assert {name: len(run.data.params) for name, run in runs.items()} == {"one": 251, "other": 251} | dict.fromkeys(
        ("failing", "terminated", "killed"), 1
    )
    assert {run.data.tags["imported before"] for run in runs.values()} == {"False"}


BESIDE = """
import os

import pandas as pd


class Failing(Logged):
    name = "failing"

    def fit(self, data, params, **more):
        super().fit(data, params, **more)
        raise RuntimeError("on purpose")


def rows():
    mlflow.log_metric("rows read", 300)
    return pd.read_csv(os.environ["ROWS"])
"""


@pytest.mark.slow
def test_families_and_sources_log_to_the_runs_of_their_assets_and_trials_to_theirs(
    store: Store, small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "of_the_user.py").write_text(LOGGED + BESIDE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))  # of the workers
    monkeypatch.setenv("ROWS", str(small.rows))
    declared = {
        "tables": {"rows": {"source": {"python": "of_the_user:rows"}, "key": "id"}},
        "models": {"of_the_user:Logged": {"trials": 2}},
        "tuning": {"workers": 2, "batch": 1},  # trials are in a process of a worker
        "tracking": {"fluent": True},
    }

    assert small.attempt("models/logged", upstream=True, **declared).success

    runs = store.runs()
    trials = {f"models/logged: trial {number}" for number in range(2)}
    assets = {"raw/rows", "examples", "feature_definitions", "features/development", "feature_selection"}
    assert store.ends() == {name: ["FINISHED"] for name in {*assets, "models/logged", *trials}}
    assert runs["raw/rows"].data.metrics["rows read"] == 300
    for name in ("models/logged", *trials):
        assert runs[name].data.metrics.keys() >= {"training rows", "training_accuracy_score"}
        assert "memory" in runs[name].data.params  # of scikit-learn's pipeline: the logging is automatic
    assert len({runs[name].data.params["C"] for name in trials}) == 2

    failing = {**declared, "models": {"of_the_user:Failing": {"trials": 1}}, "tuning": {}}
    assert not small.attempt("models/failing", **failing).success
    failed = {name: statuses for name, statuses in store.ends().items() if "failing" in name}
    assert failed == {"models/failing": ["FAILED"], "models/failing: trial 0": ["FAILED"]}

    again = small.attempt("models/logged", **{**declared, "tracking": {"fluent": False}})
    metadata = again.asset_materializations_for_node("small__models__logged")[0].metadata
    assert metadata["reused"].value is True  # it decides no result
