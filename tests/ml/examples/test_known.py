"""The target's own past is used by a history as soon as it is known, and where nobody says when, that is said."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from ml.declaration.use_case import UseCaseSpec
from ml.examples.audit import KNOWN, PAST, audit_examples, example_checks
from ml.examples.build import make_examples
from ml.examples.known import target_known_from, unused_past
from ml.features.define import define_features
from ml.features.leaks import leaking
from ml.features.matrix import feature_matrix
from ml.tables.computed import with_computed
from ml.tables.findings import Finding

START = pd.Timestamp("2024-01-01")
COMPUTED = {"twice": "minutes * 2", "long": "twice > 200"}
QUERY = "with asked as (select *, minutes > 60 as long from rides) select id, began as cutoff, {} as target from asked"
FAR = "select id, began as cutoff, exists (from rides l where l.began > rides.began) as target from rides"
HISTORY = {"table": "rides", "group_by": ["city"], "windows": ["30d"], "aggregations": ["mean"]}


def declared(table: dict[str, Any] | None = None, **changes: Any) -> UseCaseSpec:
    """Rides of cities, of which one asks how long they take as they begin."""
    examples = {
        "table": "rides", "cutoff": "began", "target": "minutes",
        "split": {"train_until": "2024-02-01", "validate_until": "2024-02-15"}, **changes.pop("examples", {}),
    }  # fmt: skip
    return UseCaseSpec.model_validate(
        {
            "description": "How long?",
            "task": "regression",
            "tables": {"rides": {"source": {"path": "r.csv"}, "key": "id", "time": "began", **(table or {})}},
            "examples": examples,
            "features": {"history": HISTORY},
            "models": {"ridge": {}},
            **changes,
        }
    )


def rides(**columns: Any) -> pd.DataFrame:
    random = np.random.default_rng(0)
    began = START + pd.to_timedelta(np.sort(random.integers(0, 60 * 24 * 60, 200)), unit="min")
    frame = pd.DataFrame({"id": range(200), "city": random.choice(["a", "b"], 200), "began": began})
    frame["minutes"] = random.integers(1, 300, 200).astype(float)
    frame["stops"] = random.integers(1, 9, 200).astype(float)
    frame["ended"] = began + pd.to_timedelta(frame["minutes"], unit="min")
    return frame.assign(**columns)


def loaded(spec: UseCaseSpec, frame: pd.DataFrame) -> dict[str, pa.Table]:
    return {"rides": with_computed("rides", spec.tables["rides"], pa.table(frame))}


def findings(spec: UseCaseSpec, frame: pd.DataFrame) -> dict[str, Finding]:
    tables = loaded(spec, frame)
    found = audit_examples(spec, tables, make_examples("case", spec, tables))
    assert [finding.check for finding in found] == example_checks(spec)
    return {finding.check: finding for finding in found}


@pytest.mark.parametrize(
    ("known_at", "time"),
    [({"ended": ["minutes"]}, "ended"), ({"6h": ["minutes"]}, "began+6h"), ("ended", "ended"), ("6h", "began+6h")],
)
def test_what_the_target_was_is_averaged_once_it_is_known_and_never_before(known_at: Any, time: str) -> None:
    spec, frame = declared({"known_at": known_at}, examples={"known": ["city"]}), rides()
    tables = loaded(spec, frame)
    rows = frame[["id", "began"]].rename(columns={"began": "cutoff"})
    definitions = define_features("case", spec, tables)

    matrix = feature_matrix(spec, definitions, tables, rows)

    name = f"city.MEAN(rides_{time}.minutes, Last 30 Days)"
    known = tables["rides"][time].to_pandas()
    for place in (3, 50, 199):
        row = frame.loc[place]
        past = (known < row["began"]) & (known >= row["began"] - pd.Timedelta("30D")) & (frame["city"] == row["city"])
        assert matrix[name][place] == pytest.approx(frame["minutes"][past].mean(), nan_ok=True)
    assert leaking(spec, definitions, tables, rows) == {}
    assert target_known_from(spec) == time
    assert unused_past(spec) is None
    passed = findings(spec, frame)
    assert passed[PAST].passed
    assert passed[KNOWN].passed


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (declared(), "write in tables.rides known_at: {1d: [minutes]}, or a time column"),
        (declared({"known_at": {"ended": ["stops"]}}), "add to tables.rides.known_at 1d: [minutes], or a time"),
        (declared({"known_at": "ended"}, examples={"cutoff": "ended"}), "time: ended, known_at: {1d: [minutes]}"),
        (declared({"computed": {"late": "minutes * 2"}}, examples={"target": "late"}), "known_at: {1d: [minutes]}"),
    ],
)  # fmt: skip
def test_where_nobody_says_when_it_becomes_known_the_line_to_write_is_said(spec: UseCaseSpec, words: str) -> None:
    definitions = define_features("case", spec, loaded(spec, rides()))

    assert not [feature.name for feature in definitions.features if "minutes" in feature.name]
    assert target_known_from(spec) is None
    assert words in str(unused_past(spec))
    finding = findings(spec, rides())[PAST]
    assert not finding.passed
    assert words in finding.reason


@pytest.mark.parametrize(
    "changes",
    [
        {"features": {}},
        {"examples": {"query": FAR, "cutoff": None, "target": None}},
    ],
)
def test_where_there_is_no_such_past_nothing_is_said(changes: dict[str, Any]) -> None:
    spec = declared(**changes)

    assert unused_past(spec) is None
    assert not {PAST, KNOWN} & set(example_checks(spec))


@pytest.mark.parametrize("target", ["minutes", "minutes / 2 + 1", "long::int", "lead(minutes) over (order by began)"])
@pytest.mark.parametrize(("known_at", "time"), [(None, None), ({"ended": ["minutes"]}, "ended")])
def test_what_a_query_makes_the_target_of_is_no_feature_and_is_averaged_once_it_is_known(
    target: str, known_at: Any, time: str | None
) -> None:
    examples = {"query": QUERY.format(target), "cutoff": None, "target": None}
    spec = declared({"known_at": known_at} if known_at else {}, examples=examples)

    names = {feature.name for feature in define_features("case", spec, loaded(spec, rides())).features}

    assert "minutes" not in names
    assert [name for name in names if "minutes" in name] == (
        [f"city.MEAN(rides_{time}.minutes, Last 30 Days)"] if time else []
    )
    assert target_known_from(spec) == time
    assert ("known_at: {1d: [minutes]}" in str(unused_past(spec))) == (time is None)


@pytest.mark.parametrize("known_at", [{"ended": ["minutes"]}, "ended"])
@pytest.mark.parametrize(("at_cutoff", "early"), [("excluded", 3), ("included", 5)])
def test_an_answer_that_is_known_before_it_is_asked_for_stops_the_run(
    known_at: Any, at_cutoff: str, early: int
) -> None:
    """It would be in the window of its own row."""
    frame = rides()
    frame.loc[:2, "ended"] = frame.loc[:2, "began"] - pd.Timedelta("1min")
    frame.loc[3:4, "ended"] = frame.loc[3:4, "began"]
    spec = declared({"known_at": known_at}, features={"history": HISTORY, "at_cutoff": at_cutoff})

    finding = findings(spec, frame)[KNOWN]

    assert f"the target of {early} of 200 rows is known before it is asked for (from 'ended' on)" in finding.reason


def test_what_is_computed_of_the_answer_is_not_known_before_it_is_asked_for() -> None:
    """Twice the minutes say them: an example would find them in the window of its own row."""
    frame = rides(early=lambda frame: frame["began"] - pd.Timedelta("1h"))
    spec = declared({"known_at": {"early": ["twice"], "ended": ["long"]}, "computed": COMPUTED})

    finding = findings(spec, frame)[KNOWN]

    assert not finding.passed
    assert "the target of 200 of 200 rows is known before it is asked for (from 'early' on)" in finding.reason
    assert findings(declared({"known_at": {"ended": ["twice", "long"]}, "computed": COMPUTED}), frame)[KNOWN].passed


BOTH = {"long": "minutes > 100", "many": "stops > 4"}


def of_two(known_at: Any = None) -> UseCaseSpec:
    """Rides of which two things are asked as they begin."""
    table, history = {"known_at": known_at} if known_at else {}, {**HISTORY, "aggregations": ["count", "mean"]}
    history = history if known_at else {**HISTORY, "aggregations": ["count"]}
    examples = {"target": BOTH}
    return declared(table, task="binary", models={"logistic": {}}, examples=examples, features={"history": history})


@pytest.mark.parametrize(
    ("known_at", "averaged"),
    [
        (None, set()),
        ({"ended": ["minutes"]}, {"minutes"}),
        ({"ended": ["stops"]}, {"stops"}),
        ({"ended": ["minutes"], "2d": ["stops"]}, {"minutes", "stops"}),
    ],
)
def test_the_past_of_each_of_several_targets_is_used_once_it_is_known_and_its_own_row_never(
    known_at: Any, averaged: set[str]
) -> None:
    spec, frame = of_two(known_at), rides()
    tables = loaded(spec, frame)

    definitions = define_features("case", spec, tables)

    names = [feature.name for feature in definitions.features]
    assert not {"minutes", "stops"} & {*names, *definitions.record}
    assert {column for column in ("minutes", "stops") if any(f".{column}," in name for name in names)} == averaged
    rows = frame[["id", "began"]].rename(columns={"began": "cutoff"})
    assert leaking(spec, definitions, tables, rows) == {}
    unused = sorted({"minutes", "stops"} - averaged)
    advice = str(unused_past(spec))
    assert (f"1d: [{', '.join(unused)}]" in advice) if unused else (advice == "None")
    assert findings(spec, frame)[PAST].passed == (not unused)


def test_each_target_that_is_known_before_it_is_asked_for_is_found() -> None:
    frame = rides(early=rides()["began"] - pd.Timedelta("1h"))
    spec = of_two({"ended": ["minutes"], "early": ["stops"]})

    finding = findings(spec, frame)[KNOWN]

    assert finding.faults == (
        "the target of 200 of 200 rows is known before it is asked for (from 'early' on)",
    )  # fmt: skip


def test_a_query_may_call_its_targets_as_the_columns_that_they_are_made_of() -> None:
    query = "with asked as (select *, minutes > 100 as gone from rides) select id, began as cutoff, {} from asked"
    examples = {"query": query.format("gone as minutes, stops > 4 as stops"), "target": ["minutes", "stops"]}
    history = {**HISTORY, "aggregations": ["count"]}
    spec = declared(
        task="binary",
        models={"logistic": {}},
        examples={**examples, "cutoff": None},
        features={"history": history},
    )

    definitions = define_features("case", spec, loaded(spec, rides()))

    assert {feature.name for feature in definitions.features} == {"city", "city.COUNT(rides_began, Last 30 Days)"}
    assert not {"minutes", "stops"} & set(definitions.record)
