"""A service of flight_delays that was built at the end of November, and December as it happened, hour by hour."""

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
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
from service.predict.predictor import Predictor, load_predictor
from tests.service.conftest import onnx_model

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

DEFS = Path(__file__).parents[2] / "configs" / "flight_delays" / "defs.yaml"
DECEMBER, JANUARY = pd.Timestamp("2013-12-01"), pd.Timestamp("2014-01-01")
NEW_PLANES, OTHER_SEATS = pd.Timestamp("2013-12-10 12:00"), pd.Timestamp("2013-12-20 06:00")
LAST_WEATHER = pd.Timestamp("2013-12-30 18:00")


class Flights:
    """A twentieth of the flights, with all of the weather and planes, and what of it was known at any time."""

    def __init__(self) -> None:
        self.spec = UseCaseSpec.model_validate(yaml.safe_load(DEFS.read_text())["attributes"])
        declared = self.spec.tables
        self.tables = {
            name: load_table("flight_delays", name, table, self.spec.times_of(name)) for name, table in declared.items()
        }
        flights = self.tables["flights"]
        self.tables["flights"] = flights.take(pa.array(range(0, flights.num_rows, 20)))
        self.frames = {name: table.to_pandas() for name, table in self.tables.items()}
        self.definitions = define_features("flight_delays", self.spec, self.tables)
        self.examples = make_examples("flight_delays", self.spec, self.tables).to_pandas()

    @staticmethod
    def known(flights: pd.DataFrame, time: pd.Timestamp) -> pd.DataFrame:
        """Return flights with what was known of them before a time."""
        flights = flights.copy()
        flights.loc[~(flights["departed_at"] < time), ["departed_at", "dep_delay"]] = None
        flights.loc[~(flights["arrived_at"] < time), ["arrived_at", "arr_delay", "late"]] = None
        return flights

    def planes_at(self, time: pd.Timestamp) -> pd.DataFrame:
        """Return the planes: a third of them is new in December, and later each of them has another seat."""
        planes = self.frames["planes"].copy()
        planes["seats"] += (time >= OTHER_SEATS) * (planes.index % 2)
        return planes if time >= NEW_PLANES else planes[planes.index % 3 > 0]

    def tables_at(self, time: pd.Timestamp) -> dict[str, pa.Table]:
        frames = {
            "flights": self.known(self.frames["flights"], time),
            "planes": self.planes_at(time),
            "weather": self.frames["weather"][self.frames["weather"]["observed_at"] < time],
        }
        return {
            name: pa.Table.from_pandas(frame, self.tables[name].schema, preserve_index=False)
            for name, frame in frames.items()
        }

    def news(self, start: pd.Timestamp, stop: pd.Timestamp) -> Iterator[tuple[str, pd.DataFrame]]:
        """Yield the rows of each table that became known from one time to another."""
        weather, flights = self.frames["weather"], self.frames["flights"]
        times = flights[["departed_at", "arrived_at"]]
        heard = flights[(times.ge(start) & times.lt(stop)).any(axis=1)]
        yield "flights", self.known(heard, stop)
        yield "weather", weather[weather["observed_at"].between(start, stop, inclusive="left")]
        before, after = self.planes_at(start - pd.Timedelta("1us")), self.planes_at(stop - pd.Timedelta("1us"))
        yield "planes", after[~after["seats"].eq(before["seats"].reindex(after.index))]

    def asked(self, start: pd.Timestamp, stop: pd.Timestamp) -> pd.DataFrame:
        return self.examples[self.examples["cutoff"].between(start, stop, inclusive="left")].reset_index(drop=True)

    def records(self, rows: pd.DataFrame) -> list[dict[str, Any]]:
        flights = self.tables["flights"]
        places = pd.Series(range(flights.num_rows), index=flights["flight_id"].to_pylist())
        return records(self.spec, self.definitions, flights.take(places[rows["flight_id"]].to_numpy()), rows)

    def expected(self, rows: pd.DataFrame, planes: pd.Timestamp) -> dict[str, np.ndarray]:
        """Compute the batch path's features of some rows, with the planes of a time; all else is as of the cutoffs."""
        tables = {**self.tables, "planes": self.tables_at(planes)["planes"]}
        matrix = feature_matrix(self.spec, self.definitions, tables, rows[["flight_id", "cutoff"]])
        return Encoder.fit(matrix, self.definitions.numeric, self.definitions.categorical).inputs(matrix)

    def write_bundle(self, folder: Path, time: pd.Timestamp) -> None:
        """Write what a Bento has that is built at a time."""
        state = online_state(
            "flight_delays", self.spec, self.definitions, self.tables_at(time), pd.Series([time]),
            usual=self.examples["cutoff"],
        )  # fmt: skip
        for file, content in state.items():
            (folder / file).write_bytes(content)
        weights = np.random.default_rng(0).normal(0, 0.01, len(self.definitions.numeric)).tolist()
        onnx.save(onnx_model(self.definitions.numeric, self.definitions.categorical, weights), folder / "model.onnx")
        (folder / "coordinates.json").write_text(json.dumps({"id": "c0ffee", "model_version": "1"}))
        (folder / "golden.json").write_text(json.dumps({"records": [], "scores": []}))


def sent(predictor: Predictor, table: str, rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rows of a source table as the JSON that POST /events takes."""
    columns = list(predictor.plan.events[table].record)
    listed = rows[columns].astype(object).where(rows[columns].notna(), None).to_dict("records")
    return [{name: v.isoformat() if isinstance(v, pd.Timestamp) else v for name, v in row.items()} for row in listed]


@pytest.fixture(scope="module")
def flights() -> Flights:
    return Flights()


@pytest.fixture(scope="module")
def november(flights: Flights, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of the end of November."""
    folder = tmp_path_factory.mktemp("november")
    flights.write_bundle(folder, DECEMBER)
    return folder


def test_december_heard_hour_by_hour_is_answered_as_the_batch_path_does_and_without_a_warning(
    flights: Flights, november: Path
) -> None:
    predictor = load_predictor(november)
    events = Events(predictor.plan, predictor.histories)
    session = onnxruntime.InferenceSession(november / "model.onnx")
    asked, answered, warned = list[pd.DataFrame](), list[Any](), list[list[str]]()

    for hour in pd.date_range(DECEMBER, JANUARY, freq="h", inclusive="left"):
        for table, rows in flights.news(hour, hour + pd.Timedelta("1h")):
            if len(rows):
                events.accept(table, sent(predictor, table, rows))
        rows = flights.asked(hour, hour + pd.Timedelta("1h"))
        if len(rows):
            prediction = predictor.predict(flights.records(rows))
            asked.append(rows.assign(hour=hour))
            answered += prediction.scores
            warned += prediction.warnings

    rows, answers = pd.concat(asked, ignore_index=True), np.array(answered)
    for start, stop in pairwise([DECEMBER, NEW_PLANES, OTHER_SEATS, JANUARY]):
        places = np.flatnonzero(rows["hour"].between(start, stop, inclusive="left"))
        inputs = flights.expected(rows.iloc[places].reset_index(drop=True), start)
        (scores,) = session.run(["score"], inputs)
        assert len(places) > 300
        np.testing.assert_array_equal(answers[places], scores.astype("float64"))
    silent = np.array([any("nothing was heard" in text for text in texts) for texts in warned])
    assert not silent[rows["cutoff"] <= LAST_WEATHER].any()
    assert silent[rows["cutoff"] > LAST_WEATHER + pd.Timedelta("2h")].all()  # the data have no weather of these days


def test_weeks_of_silence_are_warned_of_by_each_answer(flights: Flights, november: Path) -> None:
    predictor = load_predictor(november)
    later = pd.Timedelta("31d")
    asked = flights.records(flights.asked(DECEMBER + pd.Timedelta("3d"), DECEMBER + pd.Timedelta("4d")))
    for record in asked:
        record["scheduled_departure"] = (pd.Timestamp(record["scheduled_departure"]) + later).isoformat()

    prediction = predictor.predict(asked)

    assert len(asked) > 30
    for texts in prediction.warnings:
        assert [text.partition(":")[0] for text in texts[:3]] == [
            "weather by observed_at", "flights by arrived_at", "flights by departed_at",
        ]  # fmt: skip
        assert texts[0].startswith("weather by observed_at: nothing was heard since 2013-11-30T23:00:00, 3")
        assert texts[0].endswith("; up to 2:00:00 are usual")
