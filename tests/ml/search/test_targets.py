"""The models of several targets as one: the mean of their scores, and nothing that was not searched for alone."""

import pytest

from ml.search.targets import concerning, together
from ml.search.tuning import TunedModel
from ml.tasks.encoding import Encoder
from ml.tasks.folds import FoldError
from ml.tasks.metrics import score
from tests.ml.models.test_joined import tuned
from tests.support.labelled import TARGETS, frame


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
    encoder = Encoder(("w", "z"), other.encoder.categories)

    with pytest.raises(ValueError, match=r"the targets \['churn', 'upgrade'\] have different encoders"):
        together({"churn": first, "upgrade": TunedModel(**{**vars(other), "encoder": encoder})})


@pytest.mark.parametrize("error", [FoldError("too few rows"), RuntimeError("all trials failed")])
def test_what_is_wrong_with_one_target_names_it(error: Exception) -> None:
    with pytest.raises(RuntimeError, match=rf"^the target 'churn': {error}$"), concerning("churn"):
        raise error
