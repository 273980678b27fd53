from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.plan.document import BundleError
from service.plan.reading import read_plan
from service.predict.features import FeatureBuilder, Inputs, Matrices
from service.records.reader import RecordReader

NUMERIC = ["distance", "charter", "HOUR(scheduled_departure)", "planes.seats", "weather.wind", "origin.COUNT(flights)"]
CATEGORICAL = ["carrier", "planes.maker"]


def build(folder: Path, inputs: Inputs, records: list[Any]) -> Matrices:
    plan = read_plan((folder / "plan.json").read_bytes())
    return FeatureBuilder(plan, inputs, folder).build(RecordReader(plan).read(records))


def test_every_kind_of_feature_stands_where_the_model_wants_it(write_bundle: Any, record: dict[str, Any]) -> None:
    matrices = build(write_bundle(), Inputs(NUMERIC, CATEGORICAL), [record])

    assert matrices.numeric.tolist() == [[500.0, 0.0, 10.0, 100.0, 8.0, 7.0]]
    assert matrices.numeric.dtype == np.float32
    assert matrices.categorical.tolist() == [["UA", "BOEING"]]
    assert matrices.warnings == [[]]


def test_the_models_order_decides(write_bundle: Any, record: dict[str, Any]) -> None:
    inputs = Inputs(["planes.seats", "distance"], ["planes.maker", "carrier"])

    matrices = build(write_bundle(), inputs, [record])

    assert matrices.numeric.tolist() == [[100.0, 500.0]]
    assert matrices.categorical.tolist() == [["BOEING", "UA"]]


def test_what_is_missing_is_nan_or_empty(write_bundle: Any) -> None:
    records = [
        {"scheduled_departure": "2014-01-02T10:30"},
        {"scheduled_departure": "2014-01-02T10:30", "tailnum": "N2"},
    ]

    matrices = build(write_bundle(), Inputs(NUMERIC, CATEGORICAL), records)

    expected = np.array([np.nan, np.nan, 10.0, np.nan, np.nan, 0.0], np.float32)
    np.testing.assert_array_equal(matrices.numeric, np.stack([expected, expected]))
    assert matrices.categorical.tolist() == [["", ""], ["", "AIRBUS"]]


def test_a_missing_time_has_no_calendar(write_bundle: Any, plan: dict[str, Any], record: dict[str, Any]) -> None:
    plan["record"]["booked"] = "time"
    plan["features"].append({"name": "booked", "kind": "calendar", "column": "booked", "primitive": "month"})

    matrices = build(write_bundle(plan), Inputs(["booked"], []), [record, {**record, "booked": "2013-11-05"}])

    np.testing.assert_array_equal(matrices.numeric, np.array([[np.nan], [11.0]], np.float32))


def test_a_batch_is_its_records_one_by_one(write_bundle: Any, record: dict[str, Any]) -> None:
    folder, inputs = write_bundle(), Inputs(NUMERIC, CATEGORICAL)
    records = [
        record,
        {**record, "tailnum": "N9", "origin": "LGA"},
        {**record, "scheduled_departure": "2014-02-01T00:00"},
        {"scheduled_departure": "2014-01-03"},
    ]

    together = build(folder, inputs, records)

    alone = [build(folder, inputs, [one]) for one in records]
    np.testing.assert_array_equal(together.numeric, np.concatenate([one.numeric for one in alone]))
    np.testing.assert_array_equal(together.categorical, np.concatenate([one.categorical for one in alone]))
    assert together.warnings == [one.warnings[0] for one in alone]


def test_warnings_name_each_lookup_that_failed(write_bundle: Any, record: dict[str, Any]) -> None:
    matrices = build(write_bundle(), Inputs(NUMERIC, []), [{**record, "tailnum": "N9", "origin": "EWR"}])

    assert matrices.warnings == [
        [
            "planes: no row for tailnum 'N9'",
            "weather: no row for origin 'EWR'",
            "origin: no history for origin 'EWR'",
        ]
    ]


def test_a_lookup_that_the_model_does_not_use_is_not_loaded(write_bundle: Any, record: dict[str, Any]) -> None:
    folder = write_bundle()
    (folder / "planes.parquet").unlink()

    matrices = build(folder, Inputs(["distance"], []), [{**record, "tailnum": "N9"}])

    assert matrices.warnings == [[]]


@pytest.mark.parametrize(
    ("numeric", "categorical", "message"),
    [
        (["wingspan"], [], "the plan has no feature 'wingspan'"),
        (["carrier"], [], "feature 'carrier' is a text, and feeds a numeric input"),
        ([], ["distance"], "feature 'distance' is a number, and feeds a categorical input"),
        ([], ["HOUR(scheduled_departure)"], "is a number, and feeds a categorical input"),
        ([], ["origin.COUNT(flights)"], "is a number, and feeds a categorical input"),
        (["planes.maker"], [], "column 'maker' is a text, and feeds a numeric input"),
        ([], ["planes.seats"], "column 'seats' is a number, and feeds a categorical input"),
    ],
)
def test_inputs_that_the_plan_cannot_feed_are_refused(
    write_bundle: Any, numeric: list[str], categorical: list[str], message: str
) -> None:
    folder = write_bundle()
    plan = read_plan((folder / "plan.json").read_bytes())

    with pytest.raises(BundleError) as raised:
        FeatureBuilder(plan, Inputs(numeric, categorical), folder)

    assert message in str(raised.value)
