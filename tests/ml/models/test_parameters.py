"""Any parameter of a library can be searched or set; what Sextant decides is refused by name, and ONNX still agrees."""

from fnmatch import fnmatch
from typing import Any

import pandas as pd
import pytest

from ml.declaration.catalogue import CATALOGUE
from ml.exported.onnx import export, measure_parity
from ml.models.catalogue import family
from ml.search.space import Space
from tests.ml.models.test_family import frame as frame  # the fixture
from tests.ml.models.test_family import installed, training
from tests.support.toy import Toy

LIBRARIES = ["logistic", "ridge", "random_forest", "extra_trees", "hist_boosting", "lightgbm", "xgboost", "catboost"]
FEW: dict[str, dict[str, Any]] = {
    "random_forest": {"n_estimators": 20},
    "extra_trees": {"n_estimators": 20},
    **{name: {"rounds": 15} for name in ("hist_boosting", "lightgbm", "xgboost", "catboost")},
}


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    if not installed(request.param):
        pytest.skip("pip install '.[boosters]'")
    return str(request.param)


@pytest.mark.parametrize(
    ("name", "further"),
    [
        ("logistic", {"solver": "saga", "l1_ratio": 0.5, "max_iter": 300}),
        ("logistic", {"fit_intercept": False}),
        ("ridge", {"positive": True}),
        ("random_forest", {"bootstrap": False, "max_depth": 5, "ccp_alpha": 1e-4}),
        ("extra_trees", {"max_leaf_nodes": 12, "min_samples_split": 9}),
        ("hist_boosting", {"max_bins": 16, "max_depth": 3}),
        ("lightgbm", {"extra_trees": True, "path_smooth": 3.0, "max_delta_step": 0.3, "lambda_l1": 0.5}),
        ("lightgbm", {"data_sample_strategy": "goss", "bagging_freq": 0, "min_gain_to_split": 0.1}),
        ("lightgbm", {"use_quantized_grad": True, "boost_from_average": False, "max_cat_to_onehot": 100}),
        ("xgboost", {"grow_policy": "lossguide", "max_leaves": 9, "max_depth": 0, "max_cat_to_onehot": 100}),
        ("xgboost", {"num_parallel_tree": 3, "reg_alpha": 0.5, "gamma": 0.1, "max_bin": 16, "max_delta_step": 0.5}),
        ("catboost", {"boosting_type": "Ordered", "nan_mode": "Max", "border_count": 16}),
        ("catboost", {"langevin": True, "model_shrink_rate": 0.01, "boost_from_average": False}),
        ("catboost", {"bootstrap_type": "Bayesian", "bagging_temperature": 2.0, "leaf_estimation_method": "Gradient"}),
    ],
    indirect=["name"],
)
def test_a_parameter_that_a_family_does_not_search_may_have_a_value(
    name: str, further: dict[str, Any], frame: pd.DataFrame
) -> None:
    for kind in [kind for kind in CATALOGUE[name].tasks if kind != "multiclass"]:
        data = training(frame, kind)
        override = {**further, **({"bagging_fraction": 1.0} if further.get("data_sample_strategy") == "goss" else {})}
        _, settings = Space(family(name), override).near({})

        plain, model = (
            family(name).fit(data, {**FEW.get(name, {}), **values}, seed=1)
            for values in (family(name).defaults(), {**settings, **FEW.get(name, {})})
        )

        assert settings.items() >= further.items()
        assert (model.predict(data.X_valid) != plain.predict(data.X_valid)).any()
        content = export(model, data.encoder, {}, data.task)
        measure_parity(model, data.encoder, content, frame[800:]).raise_for_drift()


def test_a_parameter_that_a_family_does_not_search_may_be_searched() -> None:
    override = {"path_smooth": {"low": 0.1, "high": 10.0, "log": True}, "max_depth": [3, 5], "extra_trees": True}
    space = Space(family("lightgbm"), {**override, "max_delta_step": {"low": 1, "high": 9}})

    params, settings = space.near({"path_smooth": 99.0})

    assert params["path_smooth"] == settings["path_smooth"] == 10.0
    assert (settings["max_depth"], settings["extra_trees"], settings["max_delta_step"]) == (3, True, 1)
    assert "extra_trees" not in params
    assert space.distributions(params).keys() == params.keys()
    assert space.settings(params) == settings


@pytest.mark.parametrize(
    ("name", "parameter", "message"),
    [
        ("lightgbm", "num_leafs", r"lightgbm \S+ has no parameter 'num_leafs', did you mean 'num_leaves'"),
        ("lightgbm", "min_child_samples", "min_child_samples is another name of min_data_in_leaf: write that"),
        ("lightgbm", "n_estimators", "n_estimators is another name of num_iterations: write that"),
        ("lightgbm", "objective", "objective is decided by `task`, `metric` and `objective`"),
        ("lightgbm", "linear_tree", "linear_tree is decided by the form of a model that the service can answer by"),
        ("lightgbm", "sigmoid", "sigmoid is decided by the form"),
        ("lightgbm", "zero_as_missing", "zero_as_missing is decided by what all trials share"),
        ("lightgbm", "bagging_seed", "bagging_seed is decided by `seed`"),
        ("xgboost", "eta", "eta is another name of learning_rate: write that"),
        ("xgboost", "n_jobs", "n_jobs is decided by the machine"),
        ("xgboost", "booster", "booster is decided by the form"),
        ("catboost", "od_wait", "od_wait is decided by the validation rows"),
        ("catboost", "simple_ctr", "simple_ctr is decided by the features"),
        ("catboost", "auto_class_weights", "auto_class_weights is decided by `examples.weights`"),
        ("hist_boosting", "categorical_features", "categorical_features is decided by the features"),
        ("random_forest", "random_state", "random_state is decided by `seed`"),
        ("logistic", "class_weight", "class_weight is decided by `examples.weights`"),
        ("ridge", "alhpa", r"scikit-learn \S+ has no parameter 'alhpa', did you mean 'alpha'"),
    ],
    indirect=["name"],
)
def test_what_the_library_lacks_and_what_is_decided_elsewhere_is_refused(
    name: str, parameter: str, message: str
) -> None:
    with pytest.raises(ValueError, match=rf"models.{name}.search: {message}.*; allowed are also: "):
        Space(family(name), {parameter: 1})


def test_a_family_without_a_list_of_its_own_allows_what_it_searches() -> None:
    with pytest.raises(ValueError, match=r"names \['depth'\], which this family does not have"):
        Space(Toy(), {"depth": 1})


@pytest.mark.parametrize("name", LIBRARIES[2:], indirect=True)
def test_what_a_family_searches_is_allowed_and_what_is_not_is_there(name: str) -> None:
    library = family(name).parameters()

    assert library is not None
    assert set(family(name).defaults()) <= set(library.allowed)
    assert [pattern for pattern in library.decided if not any(fnmatch(one, pattern) for one in library.names)] == []
