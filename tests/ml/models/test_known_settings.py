"""The settings that a search begins with: in the space, or as near as it goes, and the libraries' own."""

from typing import Any

import lightgbm
import pytest
from optuna.storages import InMemoryStorage
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression, Ridge

from ml.declaration.catalogue import CATALOGUE
from ml.models.catalogue import family
from ml.models.extras import missing_package
from ml.search.space import Space
from ml.search.study import Search, Study

MOVED: dict[str, list[dict[str, Any]]] = {  # where the space ends before a known setting: what is tried instead
    "random_forest": [{}, {"min_samples_leaf": 1e-4}, {"min_samples_leaf": 1e-4}],
    "extra_trees": [{}, {"min_samples_leaf": 1e-4}, {"min_samples_leaf": 1e-4}],
    "hist_boosting": [{}, {"l2_regularization": 1e-3}],
    "lightgbm": [{}, {"lambda_l2": 1e-3}, {"lambda_l2": 1e-3, "num_leaves": 127, "min_data_in_leaf": 10}],
}


def known_settings(name: str) -> list[dict[str, Any]]:
    """The defaults, and then what else is known to be good."""
    chosen: Any = family(name)
    return [chosen.defaults(), *getattr(chosen, "good", list)()]


@pytest.mark.parametrize("name", CATALOGUE)
def test_known_settings_lie_in_the_space_or_are_moved_to_its_end(name: str) -> None:
    space = Space(family(name))

    for place, wanted in enumerate(known_settings(name)):
        params, settings = space.near(wanted)
        assert settings == {**known_settings(name)[0], **wanted, **MOVED.get(name, [{}] * 9)[place]}
        assert params.items() <= settings.items()
        for parameter, distribution in space.distributions(params).items():
            assert distribution._contains(distribution.to_internal_repr(params[parameter]))


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_search_begins_with_the_defaults_and_then_with_what_is_known_to_be_good(name: str) -> None:
    space = Space(family(name))
    study = Study(space, Search(storage=InMemoryStorage()), "roc_auc", 0)

    begun = [params for _, params in study._drawn(range(len(known_settings(name))))]

    assert begun == [space.near(wanted)[0] for wanted in known_settings(name)]


def test_the_libraries_own_defaults_are_among_them() -> None:
    library = HistGradientBoostingClassifier().get_params()
    assert known_settings("hist_boosting")[1] == {name: library[name] for name in family("hist_boosting").defaults()}

    library = lightgbm.LGBMClassifier().get_params()
    names = {"min_data_in_leaf": "min_child_samples", "feature_fraction": "colsample_bytree",
             "bagging_fraction": "subsample", "lambda_l2": "reg_lambda"}  # fmt: skip
    settings = known_settings("lightgbm")[1]
    assert settings.pop("cat_smooth") == 10  # which scikit-learn's interface does not have
    assert settings == {name: library[names.get(name, name)] for name in settings}

    assert known_settings("logistic")[0] == {"C": LogisticRegression().C}
    assert known_settings("ridge")[0] == {"alpha": Ridge().alpha}


@pytest.mark.skipif(missing_package("xgboost") is not None, reason="pip install '.[boosters]'")
def test_xgboost_s_own_defaults_are_among_them() -> None:
    import json

    import numpy as np
    import xgboost

    booster = xgboost.train({}, xgboost.DMatrix(np.eye(4), np.arange(4.0)), 1)
    tree = json.loads(booster.save_config())["learner"]["gradient_booster"]["tree_train_param"]
    names = {"reg_lambda": "lambda"}

    assert known_settings("xgboost")[1] == pytest.approx(
        {name: float(tree[names.get(name, name)]) for name in family("xgboost").defaults()}, rel=1e-6
    )
