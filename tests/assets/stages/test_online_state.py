"""Offline and online: the service's features of a raw record equal the feature matrix, to the last bit of float32."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import yaml

from ml.declaration.use_case import UseCaseSpec
from ml.examples.build import make_examples
from ml.features.define import define_features
from ml.features.golden_requests import records
from ml.features.matrix import feature_matrix
from ml.features.online_state import online_state
from ml.tables.sources import load_table
from ml.tasks.encoding import Encoder
from service.history.events import Events
from service.plan.document import Plan
from service.plan.reading import read_plan
from service.predict.features import FeatureBuilder, Inputs
from service.records.reader import RecordReader

ROOT = Path(__file__).parents[3]


class Case:
    """A shipped use case with its tables; heavy, so made once."""

    def __init__(self, name: str) -> None:
        declared = yaml.safe_load((ROOT / "configs" / name / "defs.yaml").read_text())["attributes"]
        self.spec = UseCaseSpec.model_validate(declared)
        tables = self.spec.tables.items()
        self.tables = {table: load_table(name, table, about, self.spec.times_of(table)) for table, about in tables}
        self.definitions = define_features(name, self.spec, self.tables)
        self.examples = make_examples(name, self.spec, self.tables).to_pandas()

    def bundle(self, tables: dict[str, pa.Table], cutoffs: pd.Series, folder: Path) -> Path:
        for file, content in online_state("case", self.spec, self.definitions, tables, cutoffs).items():
            (folder / file).write_bytes(content)
        return folder


def asked(case: Case, rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Raw records of some examples, as JSON says them."""
    name = case.spec.examples.table
    key = case.spec.tables[name].keys[0]
    places = pd.Series(range(case.tables[name].num_rows), index=case.tables[name][key].to_pylist())
    return records(case.spec, case.definitions, case.tables[name].take(places[rows[key]].to_numpy()), rows)


def assert_equal_to_the_matrix(case: Case, rows: pd.DataFrame, builder: FeatureBuilder, reader: RecordReader) -> None:
    matrix = feature_matrix(case.spec, case.definitions, case.tables, rows[[rows.columns[0], "cutoff"]])
    expected = Encoder.fit(matrix, case.definitions.numeric, case.definitions.categorical).inputs(matrix)

    found = builder.build(reader.read(asked(case, rows)))

    np.testing.assert_array_equal(found.numeric, expected["numeric"])
    np.testing.assert_array_equal(found.categorical, expected["categorical"])


def service_of(case: Case, folder: Path) -> tuple[Plan, FeatureBuilder, RecordReader]:
    plan = read_plan((folder / "plan.json").read_bytes())
    inputs = Inputs(case.definitions.numeric, case.definitions.categorical)
    return plan, FeatureBuilder(plan, inputs, folder), RecordReader(plan)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["flight_delays", "customer_churn"])
def test_a_thousand_raw_records_have_the_features_of_the_matrix(name: str, tmp_path: Path) -> None:
    case = Case(name)
    rows = case.examples.sample(1000, random_state=0).reset_index(drop=True)
    folder = case.bundle(case.tables, rows["cutoff"], tmp_path)

    _, builder, reader = service_of(case, folder)

    assert_equal_to_the_matrix(case, rows, builder, reader)


def sent(plan: Plan, table: str, rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of a source table as the JSON that POST /events takes."""
    bodies = json.loads(rows[list(plan.events[table].record)].to_json(orient="records", date_format="iso"))
    return [
        {name: value.rstrip("Z") if isinstance(value, str) else value for name, value in row.items()} for row in bodies
    ]


@pytest.mark.slow
def test_features_across_tables_follow_the_events_too(tmp_path: Path) -> None:
    """The shop's state of one Monday, then the orders, items and tickets of two more weeks."""
    case, monday = Case("customer_churn"), pd.Timestamp("2024-09-02")
    frames = {name: case.tables[name].to_pandas() for name in ("orders", "items", "tickets")}
    late = {"orders": frames["orders"]["ordered_at"] >= monday, "tickets": frames["tickets"]["opened_at"] >= monday}
    late["items"] = frames["items"]["order_id"].isin(frames["orders"].loc[late["orders"], "order_id"])
    tables = dict(case.tables)
    for name, frame in frames.items():
        tables[name] = pa.Table.from_pandas(frame[~late[name]], case.tables[name].schema, preserve_index=False)
    plan, builder, reader = service_of(case, case.bundle(tables, pd.Series([monday]), tmp_path))
    rows = case.examples[case.examples["cutoff"] == monday + pd.Timedelta("14D")].sample(300, random_state=0)

    events = Events(plan, builder.histories)
    for name, frame in frames.items():
        events.accept(name, sent(plan, name, frame[late[name]]))

    assert sum(map(sum, late.values())) > 1000
    assert_equal_to_the_matrix(case, rows.reset_index(drop=True), builder, reader)


@pytest.mark.slow
def test_events_that_arrive_later_keep_the_features_as_the_matrix_has_them(tmp_path: Path) -> None:
    """The state of one evening, then what happened in the next two days, in the order of departures."""
    case, evening = Case("flight_delays"), pd.Timestamp("2013-11-15 18:00")
    flights = case.tables["flights"].to_pandas()
    then = flights.copy()
    then.loc[~(then["departed_at"] < evening), ["departed_at", "dep_delay"]] = None
    then.loc[~(then["arrived_at"] < evening), ["arrived_at", "arr_delay", "late"]] = None
    tables = {**case.tables, "flights": pa.Table.from_pandas(then, case.tables["flights"].schema, preserve_index=False)}
    plan, builder, reader = service_of(case, case.bundle(tables, pd.Series([evening]), tmp_path))
    later = (flights["arrived_at"] >= evening) | (flights["departed_at"] >= evening)
    news = flights[later & (flights["departed_at"] < evening + pd.Timedelta("2D"))]
    bodies = sent(plan, "flights", news.sort_values("departed_at"))
    times = case.examples["cutoff"]
    rows = case.examples[(times >= evening) & (times < evening + pd.Timedelta("2D"))].sample(300, random_state=0)

    events = Events(plan, builder.histories)
    for start in range(0, len(bodies), 500):
        events.accept("flights", bodies[start : start + 500])

    assert len(bodies) > 1000
    assert_equal_to_the_matrix(case, rows.reset_index(drop=True), builder, reader)
