from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from service.plan.document import BundleError
from service.predict.predictor import PART, load_predictor


def test_a_loaded_bundle_answers_its_golden_records(write_bundle: Any) -> None:
    assert load_predictor(write_bundle()).difference() < 1e-6


def test_a_bundle_without_golden_records_has_nothing_to_differ_from(write_bundle: Any) -> None:
    folder = write_bundle()
    (folder / "golden.json").write_text('{"records": [], "scores": []}')

    predictor = load_predictor(folder)

    assert predictor.difference() == 0.0
    assert predictor.example is None


def test_a_model_without_a_finite_answer_whatever_the_numbers_is_its_own_fault(
    write_bundle: Any, record: dict[str, Any]
) -> None:
    predictor = load_predictor(write_bundle())
    predictor.model.score = lambda matrices: np.full(len(matrices.warnings), np.nan)  # type: ignore[method-assign]

    with pytest.raises(ArithmeticError, match="no finite answer to record 0, with no numbers either"):
        predictor.predict([record])


def test_many_records_are_answered_as_each_alone(write_bundle: Any, record: dict[str, Any]) -> None:
    predictor = load_predictor(write_bundle())
    records = [{**record, "distance": index} for index in range(PART + 2)]

    scores = predictor.predict(records).scores

    assert len(scores) == PART + 2
    for index in (0, PART - 1, PART, PART + 1):
        assert scores[index] == pytest.approx(predictor.predict([records[index]]).scores[0], abs=1e-6)


@pytest.mark.parametrize("name", ["coordinates.json", "golden.json", "model.onnx", "plan.json", "planes.parquet"])
def test_a_missing_file_is_named(write_bundle: Any, name: str) -> None:
    folder = write_bundle()
    (folder / name).unlink()

    with pytest.raises((BundleError, FileNotFoundError), match=name):
        load_predictor(folder)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("coordinates.json", {"id": "1"}, "it has no 'model_version'"),
        ("coordinates.json", [], "coordinates.json cannot be served"),
        ("golden.json", {"records": [{}], "scores": []}, "1 records have 0 scores"),
        ("golden.json", {"records": "x"}, "golden.json cannot be served"),
    ],
)
def test_a_malformed_file_is_refused(write_bundle: Any, name: str, content: Any, message: str) -> None:
    folder = write_bundle()
    (folder / name).write_text(json.dumps(content))

    with pytest.raises(BundleError, match=message):
        load_predictor(folder)
