"""An edit costs what it changes: after a first full run, exactly those assets are made again that it can change."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ml.exported.model import ExportedModel
from resources.ledger import Ledger
from resources.storage import Storage
from resources.tracking.registry import CONFIRMED
from resources.tracking.runs import tracking
from tests.support.dated import frame
from tests.support.edited import BASE, HISTORY, MATRIX, MODELS, SEARCHED, SERVED, Edit, Edited, Outcome, in_home
from tests.support.small import copy_home

pytestmark = pytest.mark.slow


@pytest.fixture
def edited(first: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Edited:
    """The use case in a home of the test's own."""
    in_home(home, monkeypatch)
    copy_home(first / "home", home)
    case = Edited(home, first / "rows.csv")  # the path is part of the declaration
    case.use(frame())
    return case


def versions() -> list[str]:
    return sorted(str(version.version) for version in tracking().client().search_model_versions("name = 'small'"))


NOTHING = set[str]()


@pytest.mark.parametrize(
    ("changes", "made", "shown"),
    [
        ({}, NOTHING, NOTHING),
        ({"owners": ["team:a"]}, NOTHING, {"evaluation"}),
        ({"description": "Which one?"}, NOTHING, {"evaluation", "profile"}),
        ({"retrain": {"schedule": "0 6 1 * *"}}, NOTHING, NOTHING),
        ({"gates": {**BASE["gates"], "roc_auc": {"at_least": 0.6}}}, NOTHING, {"evaluation"}),
        ({"tuning": {"workers": 2}}, NOTHING, NOTHING),
    ],
)
def test_words_owners_schedules_and_limits_make_nothing_and_show_what_they_change(
    edited: Edited, changes: dict[str, Any], made: set[str], shown: set[str]
) -> None:
    first_shown = {"evaluation"}  # since the candidate has become the champion in the first run

    assert edited.run(**changes) == Outcome(made, shown | first_shown)
    assert versions() == ["1"]
    assert edited.run(**changes) == Outcome(NOTHING, NOTHING)


def test_how_long_a_silence_may_be_reaches_the_bento_and_makes_nothing_before_it(edited: Edited) -> None:
    (table,) = edited.declared()["tables"].values()

    limits = {"heard_within": "3h", "not_ready_after": "2d", "timezone": "Europe/Rome"}
    outcome = edited.run(tables={"rows": {**table, **limits}})

    assert outcome.made == {"online_state", "bento"}
    assert versions() == ["1"]
    stored = Ledger().latest_result("small/online_state")
    assert stored is not None
    (source,) = json.loads(Storage().load(stored)["plan.json"])["sources"]
    assert (source["within_s"], source["not_ready_after_s"], source["timezone"]) == (10800, 172800, "Europe/Rome")


def test_an_option_of_the_report_makes_the_evaluation(edited: Edited) -> None:
    evaluation = edited.declared()["evaluation"]

    outcome = edited.run(evaluation={**evaluation, "slice_rows": 40})

    assert outcome.made == {"evaluation"}
    assert versions() == ["1"]


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("ml/features/matrix.py", '"""', '"""In other words: '),
        ("ml/features/matrix.py", "\ndef ", "\n# a comment\n\n\ndef "),
        ("resources/tracking/history.py", '"when (UTC)"', '"moment (UTC)"'),
        ("assets/framework/metadata.py", "dagster/row_count", "dagster/rows"),
        ("configs/another/defs.yaml", "", "type: dagster_project.components.UseCase\n"),
    ],
)
def test_an_edit_that_can_change_no_answer_makes_nothing(
    edited: Edited, edit: Edit, path: str, old: str, new: str
) -> None:
    edit(path, old, new)

    assert edited.run().made == NOTHING
    assert versions() == ["1"]


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("ml/report/card.py", "That is no proof", "It is no proof"),
        ("ml/declaration/gate_kinds/comparison.py", "no champion yet", "no champion so far"),
    ],
)
def test_words_of_the_report_and_code_of_gates_make_nothing_and_show_the_evaluation_anew(
    edited: Edited, edit: Edit, path: str, old: str, new: str
) -> None:
    edited.run()  # shows it as the champion's

    edit(path, old, new)

    assert edited.run() == Outcome(NOTHING, {"evaluation"})
    assert edited.run() == Outcome(NOTHING, NOTHING)


def test_a_colour_of_the_report_makes_the_evaluation_with_the_explanations_that_there_are(
    edited: Edited, edit: Edit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("assets.stages.evaluation.explained")
    edit("ml/report/plots/style.py", "#1f5fa8", "#1f5fa9")

    assert edited.run().made == {"evaluation"}
    assert versions() == ["1"]


def test_a_search_range_makes_that_family_and_what_follows(edited: Edited) -> None:
    models = {"logistic": {"trials": 1}, "lightgbm": {"trials": 1, "search": {"learning_rate": 0.11}}}

    assert edited.run(models=models).made == {"models/lightgbm", *SEARCHED}
    assert versions() == ["1"]  # logistic, whose answers are the same, is the candidate again


def test_a_feature_window_makes_the_matrix_and_what_follows(edited: Edited) -> None:
    outcome = edited.run(features={"history": {**HISTORY, "windows": ["5d"]}})

    assert outcome.made == {*MATRIX, *MODELS, *SEARCHED, *SERVED}
    assert versions() == ["1", "2"]


@pytest.mark.parametrize(
    "change",
    [
        {"features": {"history": HISTORY, "at_most": 2000}},
        {"examples": {"where": "true"}},
        {"examples": {"target": "y=1"}},
        {"tables": {"interesting_values": {"g": ["a"]}}},
    ],
)
def test_another_way_to_the_same_matrix_is_judged_and_registers_nothing(edited: Edited, change: dict[str, Any]) -> None:
    declared = edited.declared()
    changes = {
        "features": change.get("features", declared["features"]),
        "examples": declared["examples"] | change.get("examples", {}),
        "tables": {"rows": declared["tables"]["rows"] | change.get("tables", {})},
    }

    outcome = edited.run(**changes)

    assert outcome.made & {*MODELS, *SERVED} == NOTHING
    assert versions() == ["1"]
    assert edited.run(**changes) == Outcome(NOTHING, NOTHING)
    assert edited.run().made == NOTHING


def test_an_expression_that_no_training_row_shows_reaches_production(edited: Edited) -> None:
    rows = frame()
    rows["code"] = np.where(np.arange(len(rows)) % 5 < 2, "a", "b")
    rows.loc[(rows["at"] >= "2024-02-10") & (rows["code"] == "a"), "code"] = "c"
    edited.use(rows)

    def tables(late: str) -> dict[str, Any]:
        table = edited.declared()["tables"]["rows"]
        return {"rows": {**table, "computed": {"late": late}, "ignore": ["code"]}}

    edited.run(tables=tables("code = 'a'"))
    outcome = edited.run(tables=tables("code in ('a', 'c')"))

    assert outcome.made.isdisjoint(MODELS)
    assert versions() == ["1", "2", "3"]
    stored = Ledger().latest_result("small/online_state")
    assert stored is not None
    assert "IN ('a', 'c')" in Storage().load(stored)["plan.json"].decode()


def test_code_that_may_change_a_family_makes_that_alone_and_the_same_answers_register_nothing(
    edited: Edited, edit: Edit
) -> None:
    edit("ml/models/linear.py", "MAX_ITERATIONS = 100", "MAX_ITERATIONS = 10 * 10")
    before = Ledger().latest_of("small/production_model")

    outcome = edited.run()

    assert outcome.made == {"models/logistic", *SEARCHED}
    assert versions() == ["1"]
    entry = tracking().registry("small").entries()[-1]
    assert (entry.action, entry.version) == (CONFIRMED, "1")
    assert entry.reason.startswith("the same answers as version 1")
    assert before != Ledger().latest_of("small/production_model")
    assert Storage().load(Ledger().latest_result("small/predictions"))["model_version"].unique().tolist() == ["1"]


def test_another_threshold_with_the_same_scores_is_another_version(edited: Edited) -> None:
    evaluation = {**edited.declared()["evaluation"], "threshold": {"cost": {"false_positive": 1, "false_negative": 50}}}

    outcome = edited.run(evaluation=evaluation)

    assert outcome.made == {"onnx_model", "evaluation", *SERVED}
    assert versions() == ["1", "2"]
    answered = Storage().load(Ledger().latest_result("small/predictions"))
    (threshold,) = ExportedModel(tracking().onnx("small", "2")).thresholds
    assert answered["model_version"].unique().tolist() == ["2"]
    assert (answered["decision"] == (answered["score"] >= threshold)).all()
