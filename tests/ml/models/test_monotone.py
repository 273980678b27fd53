"""An answer follows a monotone feature in one direction, whatever the rest of a row is, and ONNX answers the same."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ml.exported.onnx import export, measure_parity
from ml.models.catalogue import family
from ml.tasks.metrics import Kind
from ml.tasks.transforms import TRANSFORMS
from tests.ml.models.test_family import frame as frame  # the fixture
from tests.ml.models.test_family import installed, training


@pytest.mark.parametrize("kind", ["binary", "regression"])
@pytest.mark.parametrize("name", ["hist_boosting", "lightgbm", "xgboost", "catboost"])
def test_an_answer_never_falls_as_a_feature_rises(name: str, kind: Kind, frame: pd.DataFrame) -> None:
    if not installed(name):
        pytest.skip("pip install '.[boosters]'")
    data = training(frame, kind)
    transform = TRANSFORMS["ln"] if kind == "regression" else None
    chosen = family(name)

    model = chosen.fit(replace(data, monotone={"b": 1, "a": -1}, transform=transform), chosen.defaults(), seed=1)

    assert chosen.takes_monotone
    for column, way in ((0, -1), (1, 1)):
        rows = np.repeat(data.X_valid[:40], 25, axis=0)
        rows[:, column] = np.tile(np.linspace(-3, 3, 25, dtype="float32"), 40)
        steps = np.diff(model.predict(rows).reshape(40, 25), axis=1) * way
        assert (steps >= -1e-7 * data.task.unit(data.y)).all()
    measure_parity(model, data.encoder, export(model, data.encoder, {}, data.task), frame[800:]).raise_for_drift()


def test_the_directions_are_in_the_order_of_the_encoded_columns(frame: pd.DataFrame) -> None:
    data = training(frame, "binary")

    assert data.directions == []
    assert replace(data, monotone={"b": -1}).directions == [0, -1, 0]
