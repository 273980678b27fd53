"""Preparation of columns by their families: empty ones do no harm, and only training rows decide."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ml.declaration.catalogue import CATALOGUE
from ml.exported.onnx import export, measure_parity
from ml.models.catalogue import family
from ml.models.extras import missing_package
from ml.models.family import Training
from ml.tasks.encoding import Encoder
from ml.tasks.metrics import score
from ml.tasks.task import Task

NUMERIC = ["pixel_0", "pixel_1", "pixel_2", "pixel_3"]  # of an image of two by two for `cnn`
EVERY = [
    pytest.param(
        name,
        marks=pytest.mark.skipif(any(map(missing_package, entry.requires)), reason="needs .[boosters]"),
    )
    for name, entry in sorted(CATALOGUE.items())
]


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(2.0, 3.0, (900, 4)), columns=NUMERIC)
    frame["level"] = random.choice([*"xyz"], 900)
    frame["worth"] = frame["pixel_0"] + random.normal(0, 1.0, 900)
    frame.loc[random.random(900) < 0.2, "pixel_1"] = np.nan
    return frame


def training(frame: pd.DataFrame, name: str) -> Training:
    """The problem that a family can learn, without categories for a network for images."""
    train, valid = frame[:600], frame[600:]
    encoder = Encoder.fit(
        train, NUMERIC, [] if name == "cnn" else ["level", "empty"] if "empty" in frame else ["level"]
    )
    kind = "regression" if name == "ridge" else "binary"
    y = frame["worth"].to_numpy() if name == "ridge" else (frame["worth"] > 2).to_numpy("int8")
    return Training(encoder.encode(train), y[:600], encoder.encode(valid), y[600:], encoder, Task(kind))


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERY)
def test_columns_that_are_constant_or_missing_do_no_harm_and_convert(name: str, frame: pd.DataFrame) -> None:
    frame = frame.assign(pixel_2=3.0, pixel_3=np.nan, empty=None)
    data, chosen = training(frame, name), family(name)

    model = chosen.fit(data, chosen.defaults(), seed=1)

    metric, at_least = ("r2", 0.8) if name == "ridge" else ("roc_auc", 0.9)
    assert score(metric, data.y_valid, model.predict(data.X_valid)) > at_least
    measure_parity(model, data.encoder, export(model, data.encoder, {}, data.task), frame[600:]).raise_for_drift()


@pytest.mark.parametrize("name", ["logistic", "mlp"])
def test_gaps_and_scales_are_those_of_the_rows_that_are_learned_from(name: str, frame: pd.DataFrame) -> None:
    data = training(frame, name)
    moved = data.X_valid.copy()
    moved[:, : len(NUMERIC)] *= 100
    judged = replace(data, X_valid=moved)

    learned, other = (
        statistics(name, family(name).fit(problem, family(name).defaults(), seed=1)) for problem in (data, judged)
    )

    numbers = data.X[:, : len(NUMERIC)].astype(np.float64)
    median = np.nanmedian(numbers, axis=0)
    seen = np.where(np.isnan(numbers), median if name == "logistic" else np.nan, numbers)
    expected = median, np.nanmean(seen, axis=0), np.nanstd(seen, axis=0)
    for statistic, same, expectation in zip(learned, other, expected, strict=True):
        assert np.array_equal(statistic, same)
        assert statistic == pytest.approx(expectation, rel=1e-5)


def statistics(name: str, model: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the values that fill gaps, are taken off, and are divided by, of each numeric column."""
    if name == "mlp":
        return model.weights["median"], model.weights["mean"], model.weights["deviation"]
    numeric = model.pipeline[0].named_transformers_["numeric"]
    return numeric[0].statistics_, numeric[1].mean_, numeric[1].scale_
