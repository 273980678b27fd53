"""Reading the prediction log again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from service.http.served import Served
from service.predict.identity import prediction_ids
from service.predict.predictor import Prediction, Predictor
from service.predictions.log import PredictionLog
from service.predictions.reading import predictions
from service.predictions.settings import PredictionSettings


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return a folder for the log."""
    return tmp_path / "logs"


@pytest.fixture
def predictor(served: Served) -> Predictor:
    """Return the predictor of the normal bundle."""
    return served.require_predictor()


def named(predictor: Predictor, records: Sequence[Any]) -> Prediction:
    """Return the answers to some records, with their ids."""
    return replace(predictor.predict(records), ids=prediction_ids(len(records)))


def write(url: str, predictor: Predictor, records: list[Any], **settings: Any) -> None:
    """Log the answers to some records."""
    log = PredictionLog(PredictionSettings(url, **settings))
    log.add(log.prepare(predictor, named(predictor, records), b""))
    log.close()


def test_files_of_several_columns_are_read_as_one_and_unfinished_ones_are_not(
    predictor: Predictor, record: dict[str, Any], place: Path
) -> None:
    write(str(place), predictor, [record], left_out=("carrier",))
    write(f"file://{place}", predictor, [record], features=True)
    (folder,) = place.glob("*/*")
    (folder / ".file.parquet.new").write_bytes(b"PAR1")

    one, other = predictions(str(place), "flight_delays").to_table().sort_by("time").to_pylist()

    assert (one["record"]["carrier"], one["features"]) == (None, None)
    assert (other["record"]["carrier"], other["features"]["distance"]) == ("UA", 500.0)


def test_a_column_of_several_types_is_said(predictor: Predictor, record: dict[str, Any], place: Path) -> None:
    write(str(place), predictor, [record])
    write(str(place), predictor, [record], hashed=("distance",), salt="x")

    with pytest.raises(ValueError, match=r"'flight_delays' have a column of several types: (.|\n)*distance"):
        predictions(str(place), "flight_delays")


@pytest.mark.parametrize("name", ["a.b", "é ü", "list", "", "record", "Carrier"])
def test_a_column_may_have_any_name(write_bundle: Any, plan: Any, record: Any, place: Path, name: str) -> None:
    served = Served()
    served.load(write_bundle({**plan, "record": {**plan["record"], name: "text"}}))
    write(str(place), served.require_predictor(), [{**record, name: "x"}] * 2, features=True)

    (one, _) = predictions(str(place), "flight_delays").to_table().to_pylist()

    assert one["record"][name] == "x"
    assert one["record"]["carrier"] == "UA"


def test_where_nothing_was_logged_that_is_said(place: Path) -> None:
    with pytest.raises(FileNotFoundError, match="has no predictions of 'delays'"):
        predictions(str(place), "delays")


def test_an_object_store_is_written_and_read(predictor: Predictor, record: dict[str, Any], s3: str) -> None:
    write(f"{s3}/logs/", predictor, [record] * 3)

    assert predictions(f"{s3}/logs/", "flight_delays").count_rows() == 3
