"""What an exported model takes to serve, and the golden rows that it must answer for as long as it is kept."""

import json
import math

import numpy as np
import pandas as pd
import pytest

from ml.evaluation.cost import serving_of
from ml.exported.golden_rows import GoldenError, check_golden, golden_inputs
from ml.exported.model import ExportedModel
from ml.exported.onnx import PARITY, annotated, described, export, predict, session
from ml.models.catalogue import family
from ml.models.family import Training
from ml.tasks.encoding import Encoder
from ml.tasks.task import BINARY


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    random = np.random.default_rng(0)
    x = random.normal(size=300)
    return pd.DataFrame({"x": np.where(x > 1.5, np.nan, x), "carrier": random.choice(["AA", "UA", None], 300)})


@pytest.fixture(scope="module")
def encoder(frame: pd.DataFrame) -> Encoder:
    return Encoder.fit(frame, ["x"], ["carrier"])


@pytest.fixture(scope="module")
def content(frame: pd.DataFrame, encoder: Encoder) -> bytes:
    return exported(frame, encoder, (frame["x"].fillna(0) > 0).to_numpy("int8"))


def exported(frame: pd.DataFrame, encoder: Encoder, y: np.ndarray) -> bytes:
    X, logistic = encoder.encode(frame), family("logistic")
    model = logistic.fit(Training(X, y, X, y, encoder, BINARY), logistic.defaults(), seed=0)
    return export(model, encoder, {"k": "v", "sextant.encoder": json.dumps(encoder.to_dict())})


def test_more_metadata_changes_neither_the_answers_nor_what_was_said(
    content: bytes, encoder: Encoder, frame: pd.DataFrame
) -> None:
    more = annotated(content, {PARITY: "1e-07"})

    assert described(more) == described(content) | {PARITY: "1e-07"}
    assert (predict(session(more), encoder, frame) == predict(session(content), encoder, frame)).all()
    assert annotated(content, {PARITY: "1e-07"}) == more


def test_serving_takes_the_files_size_some_time_and_the_parity_that_was_measured(
    content: bytes, encoder: Encoder, frame: pd.DataFrame
) -> None:
    found = serving_of(ExportedModel(annotated(content, {PARITY: "2.5e-07"})), frame)

    assert found.size_mb == pytest.approx(len(content) / 1e6, rel=0.05)
    assert 0 < found.latency_ms < 1000
    assert found.parity == 2.5e-07


def test_what_was_not_measured_is_no_number(content: bytes, encoder: Encoder, frame: pd.DataFrame) -> None:
    found = serving_of(ExportedModel(content), frame.head(0))

    assert math.isnan(found.parity)
    assert math.isnan(found.latency_ms)


def test_a_model_answers_its_own_golden_rows_exactly_missing_values_and_all(
    content: bytes, encoder: Encoder, frame: pd.DataFrame
) -> None:
    golden = golden_inputs(session(content), encoder, frame)

    told = json.loads(golden)
    assert len(told["scores"]) == 10
    assert golden == golden_inputs(session(content), encoder, frame)
    assert check_golden(content, golden) == 0.0


def test_another_model_does_not_answer_them(content: bytes, encoder: Encoder, frame: pd.DataFrame) -> None:
    other = exported(frame, encoder, (frame["x"].fillna(0) < 0).to_numpy("int8"))

    with pytest.raises(GoldenError, match="golden rows are answered with a difference of"):
        check_golden(other, golden_inputs(session(content), encoder, frame))


def test_no_golden_rows_verify_nothing(content: bytes, encoder: Encoder, frame: pd.DataFrame) -> None:
    with pytest.raises(GoldenError, match="0 golden rows"):
        check_golden(content, golden_inputs(session(content), encoder, frame.head(0)))


DAMAGED = [b"", b"{", b"[]", b"{}", b'{"scores": [1], "inputs": []}', b'{"scores": ["x"]}', b"\xff"]


@pytest.mark.parametrize("damaged", DAMAGED)
def test_damaged_golden_rows_say_so(content: bytes, damaged: bytes) -> None:
    with pytest.raises(GoldenError, match="its golden rows are damaged"):
        check_golden(content, damaged)
