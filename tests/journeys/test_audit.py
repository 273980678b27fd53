"""A failed check of the audit stops the run before training: nothing of it is stored, and the champion stays."""

from collections.abc import Callable
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from assets.framework.case import Case
from assets.graph import all_assets
from dagster_project.components import UseCase
from dagster_project.definitions import defs, resources
from ml.examples.audit import WARNS
from resources.storage import find
from resources.tracking.runs import Tracking
from tests.support.small import Small

TRAINING = ("models", "leaderboard", "onnx_model", "evaluation", "production_model")
LIMITS = {"columns": {"x": {"between": [-9, 9], "missing_at_most": 0.1}}}


def run(small: Small, until: str, **changes: Any) -> dg.ExecuteInProcessResult:
    case = Case("small", UseCase.model_validate(small.declared(**changes)))
    selection = dg.AssetSelection.assets(case.key(until)).upstream()
    return dg.materialize(
        all_assets(case),
        resources=resources(),
        instance=dg.DagsterInstance.get(),
        selection=selection,
        raise_on_error=False,
    )


def declared(small: Small, **audit: Any) -> dict[str, Any]:
    """Return the table `rows` with an audit."""
    return {"rows": {"source": {"path": str(small.rows)}, "key": "id", "audit": {**LIMITS, **audit}}}


def answers(done: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    return {check.check_name: check for check in done.get_asset_check_evaluations()}


def reason(check: dg.AssetCheckEvaluation) -> str:
    return str(check.metadata["reason"].value)


def out_of_range(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(x=rows["x"].where(rows["id"] >= 3, 100.0))


def half_gone(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(x=rows["x"].where(rows["id"] % 2 == 0))


def twice(rows: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([rows, rows.head(5)])


def leaking(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(closed=rows["y"] * 2.5 + 1)


FAULTS: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], str, str]] = {
    "ranges": (out_of_range, "raw/rows", "column 'x': 3 of 300 values are not between -9 and 9, first 100.0"),
    "missing_shares": (half_gone, "raw/rows", "column 'x': 150 of 300 values are missing (50.00%, allowed: 10.00%)"),
    "uniqueness": (twice, "raw/rows", "key ['id']: 10 rows share their key with another, first {'id': 0}"),
    "no_feature_alone_predicts_the_target": (
        leaking,
        "features/development",
        "closed alone reaches roc_auc 1.0000 on 181 training rows, allowed: 0.99",
    ),
}


def test_a_run_with_bad_data_stops_before_training_with_the_reason_and_keeps_the_champion(small: Small) -> None:
    rows, instance = pd.read_csv(small.rows), dg.DagsterInstance.get()
    good = run(small, "production_model", tables=declared(small))
    assert good.success
    assert {check.passed for check in answers(good).values()} == {True}

    for check, (spoil, asset, words) in FAULTS.items():
        spoil(rows).to_csv(small.rows, index=False)
        key = dg.AssetKey(["small", *asset.split("/")])
        latest = find(instance, key)

        stopped = run(small, "production_model", tables=declared(small))

        assert not stopped.success
        failed = [answer for answer in answers(stopped).values() if not answer.passed]
        assert [(answer.asset_key, answer.check_name, answer.blocking) for answer in failed] == [(key, check, True)]
        assert words in reason(failed[0])
        assert [event.step_key for event in stopped.get_step_failure_events()] == ["__".join(key.path)]
        assert not [step for step in started(stopped) if step.startswith(tuple(f"small__{name}" for name in TRAINING))]
        assert find(instance, key) == latest
        assert str(Tracking().client().get_model_version_by_alias("small", "champion").version) == "1"


def started(done: dg.ExecuteInProcessResult) -> list[str]:
    return [str(event.step_key) for event in done.all_events if event.event_type_value == "STEP_START"]


def test_a_check_that_warns_says_so_and_stops_nothing_and_a_reused_result_says_it_again(small: Small) -> None:
    rows = pd.read_csv(small.rows)
    out_of_range(leaking(rows)).to_csv(small.rows, index=False)
    alone = "no_feature_alone_predicts_the_target"
    changes = {"tables": declared(small, warn=["ranges"]), "audit": {"warn": [alone]}}

    first, again = (run(small, "features/development", **changes) for _ in range(2))

    for done in (first, again):
        assert done.success
        failed = {name: check for name, check in answers(done).items() if not check.passed}
        assert failed.keys() == {"ranges", alone}
        assert {check.severity for check in failed.values()} == {dg.AssetCheckSeverity.WARN}
        assert "3 of 300" in reason(failed["ranges"])
        assert "closed alone reaches" in reason(failed[alone])
        assert "| closed " in str(failed[alone].metadata["found"].value)
    assert "reused" in again.asset_materializations_for_node("small__features__development")[0].metadata


@pytest.mark.parametrize(
    ("column", "check", "words"),
    [
        ("shop", "no_group_in_two_splits", "1 values of shop are in train (150 rows) and test (60 rows), first a"),
        (None, "target_alike_in_splits", "10.0% of 150 train rows and 90.0% of 60 test rows have target 1"),
    ],
)
def test_splits_by_dates_that_share_groups_or_have_nothing_in_common_stop_the_run(
    small: Small, column: str | None, check: str, words: str
) -> None:
    days = pd.date_range("2024-01-01", periods=300)
    share = np.where(np.arange(300) < 240, 1, 9) if column is None else np.full(300, 5)
    shops = ["a"] * 150 + ["b"] * 90 + ["a"] * 60
    frame = pd.DataFrame({"id": range(300), "at": days, "shop": shops, "y": (np.arange(300) % 10 < share).astype(int)})
    frame.to_csv(small.rows, index=False)
    split = {"train_until": str(days[150].date()), "validate_until": str(days[240].date()), "group": column}

    stopped = run(
        small,
        "leaderboard",
        tables={"rows": {"source": {"path": str(small.rows)}, "key": "id", "time": "at"}},
        examples={"table": "rows", "cutoff": "at", "target": "y = 1", "split": split},
    )

    failed = {name: answer for name, answer in answers(stopped).items() if not answer.passed}
    assert [*failed] == [check, *(["splits_are_large_enough"] if column else [])]  # test has the rows of one shop
    assert words in reason(failed[check])
    assert started(stopped)[-1] in ("small__examples", "small__feature_definitions")
    assert [event.step_key for event in stopped.get_step_failure_events()] == ["small__examples"]


def test_both_parts_of_a_matrix_with_time_are_tested_for_values_from_after_the_cutoff(small: Small) -> None:
    days = pd.date_range("2024-01-01", periods=300)
    rows = pd.DataFrame({"id": range(300), "at": days, "shop": "a", "y": np.random.default_rng(0).integers(0, 2, 300)})
    rows.to_csv(small.rows, index=False)
    split = {"train_until": str(days[150].date()), "validate_until": str(days[240].date())}
    changes = {
        "tables": {"rows": {"source": {"path": str(small.rows)}, "key": "id", "time": "at"}},
        "examples": {"table": "rows", "cutoff": "at", "target": "y = 1", "split": split},
        "features": {"history": {"table": "rows", "group_by": ["shop"], "windows": ["9d"], "aggregations": ["count"]}},
    }

    for part in ("development", "test"):
        done = run(small, f"features/{part}", **changes)

        assert done.success
        of_part = {check.check_name: check for check in answers(done).values() if check.asset_key.path[-1] == part}
        assert of_part["no_value_from_after_the_cutoff"].passed
        assert "keep every value when the future is scrambled" in reason(of_part["no_value_from_after_the_cutoff"])


def test_every_check_before_training_but_two_blocks_in_every_use_case_that_comes_along() -> None:
    graph = defs().resolve_asset_graph()
    audited = [spec for spec in graph.asset_check_keys if spec.asset_key.path[1] in ("raw", "examples", "features")]

    assert {key.name for key in audited} >= {"schema", "types", "uniqueness", "missing_shares", "no_row_in_two_splits"}
    assert {key.name for key in audited if not graph.get_check_spec(key).blocking} == {*WARNS}
