"""The models of several targets as one: it answers as they do, in ONNX too."""

import numpy as np
import pytest

from ml.exported.onnx import export, measure_parity, task_of
from ml.models.family import Training, thresholds_of
from ml.search.targets import together
from ml.search.tuning import TunedModel, tune
from ml.tasks.encoding import Encoder
from ml.tasks.task import Task
from tests.support.labelled import TARGETS, frame


def tuned(family: str, target: str, trials: int = 1) -> TunedModel:
    """The model of one target, as if it were the only one."""
    rows = frame()
    train, valid = rows[:250], rows[250:]
    encoder = Encoder.fit(train, ["x", "z"], ["region"])
    y, y_valid = (part[target].to_numpy("int8") for part in (train, valid))
    data = Training(encoder.encode(train), y, encoder.encode(valid), y_valid, encoder)
    return tune(family, data, trials=trials, seed=0)


@pytest.mark.parametrize("family", ["logistic", "hist_boosting", "lightgbm", "catboost"])
def test_the_models_of_several_targets_answer_as_one_in_onnx_too(family: str) -> None:
    alone = {target: tuned(family, target) for target in TARGETS}

    model = together(alone)

    valid = frame()[250:]
    content = export(model.model, model.encoder, {}, model.task)
    answers = model.model.predict(model.encoder.encode(valid))
    for at, target in enumerate(TARGETS):
        assert np.array_equal(answers[:, at], alone[target].model.predict(model.encoder.encode(valid)))
    measure_parity(model.model, model.encoder, content, valid).raise_for_drift()
    assert task_of(content) == model.task == Task("binary", targets=TARGETS)
    jumps = [thresholds_of(one.model).get(0, np.empty(0)) for one in alone.values()]
    assert np.array_equal(thresholds_of(model.model).get(0, np.empty(0)), np.unique(np.concatenate(jumps)))
