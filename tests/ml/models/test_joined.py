"""The models of several targets as one: it answers as they do, in ONNX too."""

import numpy as np
import pandas as pd
import pytest

from ml.exported.onnx import export, measure_parity, task_of
from ml.models.family import Training, thresholds_of
from ml.search.targets import together
from ml.search.tuning import TunedModel, tune
from ml.tasks.encoding import Encoder
from ml.tasks.metrics import Task, score
from tests.support.labelled import TARGETS, frame


def tuned(family: str, target: str, trials: int = 1) -> TunedModel:
    """The model of one target, as if it were the only one."""
    rows = frame()
    train, valid = rows[:250], rows[250:]
    encoder = Encoder.fit(train, ["x", "z"], ["region"])
    y, y_valid = (part[target].to_numpy("int8") for part in (train, valid))
    data = Training(encoder.encode(train), y, encoder.encode(valid), y_valid, encoder)
    return tune(family, data, trials=trials, seed=0)


@pytest.mark.parametrize("family", ["logistic", "hist_boosting", "lightgbm"])
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


def test_the_score_of_several_targets_is_the_metric_of_all_answers() -> None:
    model = together({target: tuned("logistic", target, trials=2) for target in TARGETS})

    valid = frame()[250:]
    y = valid[list(TARGETS)].to_numpy("int8")
    assert model.score == pytest.approx(score("roc_auc", y, model.valid_predictions))
    assert model.refit_scores == (model.score,)
    assert set(model.params) == {f"{target}.C" for target in TARGETS}
    assert model.of("upgrade").score == score("roc_auc", y[:, 1], model.valid_predictions[:, 1])


def test_models_of_other_columns_are_not_put_together() -> None:
    first, other = tuned("logistic", "churn"), tuned("logistic", "upgrade")
    renamed = pd.Series({"x": "w"})
    encoder = Encoder(tuple(renamed.get(name, name) for name in other.encoder.numeric), other.encoder.categories)

    with pytest.raises(ValueError, match=r"the targets \['churn', 'upgrade'\] have different encoders"):
        together({"churn": first, "upgrade": TunedModel(**{**vars(other), "encoder": encoder})})
