"""Search spaces: what a declaration may change of a family's own."""

from typing import Any

import optuna
import pytest

from ml.models.catalogue import family
from ml.search.space import Space
from tests.support.toy import Toy


def drawn(space: Space, trials: int = 30) -> list[dict[str, Any]]:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    return [space.suggest(study.ask()) for _ in range(trials)]


def test_a_range_a_list_and_a_value_take_the_place_of_the_familys_own() -> None:
    override = {"num_leaves": {"low": 200, "high": 300}, "learning_rate": 0.05, "cat_smooth": [1.0, 500.0]}

    settings = drawn(Space(family("lightgbm"), override))

    assert all(200 <= setting["num_leaves"] <= 300 for setting in settings)
    assert {setting["learning_rate"] for setting in settings} == {0.05}
    assert {setting["cat_smooth"] for setting in settings} == {1.0, 500.0}
    assert len({setting["lambda_l2"] for setting in settings}) == len(settings)


def test_what_is_fixed_is_not_drawn_and_still_part_of_the_settings() -> None:
    study = optuna.create_study()
    trial = study.ask()

    settings = Space(Toy(), {"weight": 0.5}, {"rounds": 3}).suggest(trial)

    assert settings["weight"] == 0.5
    assert settings["rounds"] == 3
    assert set(trial.params) == {"noise", "sign"}


def test_recorded_parameters_make_the_same_settings_again() -> None:
    space, study = Space(Toy(), {"noise": {"low": 0.1, "high": 0.2}}), optuna.create_study()
    trial = study.ask()

    settings = space.suggest(trial)

    assert space.settings(trial.params) == settings
    assert space.distributions(trial.params) == trial.distributions


@pytest.mark.parametrize(
    ("wanted", "near"), [({"noise": 9.0}, 0.3), ({"noise": 0.0}, 0.2), ({"noise": 0.25}, 0.25), ({}, 0.2)]
)
def test_a_setting_outside_the_space_becomes_the_nearest_inside(wanted: dict[str, Any], near: float) -> None:
    params, settings = Space(Toy(), {"noise": {"low": 0.2, "high": 0.3}}).near(wanted)

    assert params == {"weight": 0.1, "noise": near, "sign": 1}
    assert settings == params


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ({"depth": 3}, r"names \['depth'\], which this family does not have. Its parameters: \['noise', 'sign', 'weig"),
        ({"sign": [1, 2]}, r"search.sign cannot be \[2\]. Allowed: \[1, -1\]"),
        ({"sign": {"low": 0, "high": 1}}, r"search.sign is a range, but sign is one of \[1, -1\]"),
        ({"noise": {"low": 0.5, "high": 0.1}}, "search.noise runs from 0.5 to 0.1: low must be below high"),
        ({"noise": {"low": 0, "high": 1}}, "search.noise runs from 0 to 1: low must be below high, and above 0 if log"),
        ({"noise": "much"}, r"search.noise cannot be \['much'\]: it is a number"),
    ],
)
def test_an_impossible_override_is_refused_with_what_is_possible(override: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Space(Toy(), override)


def test_a_whole_number_stays_one() -> None:
    for override in ([1.5], {"low": 1.5, "high": 3}, True):
        with pytest.raises(ValueError, match=r"num_leaves .* a whole number"):
            Space(family("lightgbm"), {"num_leaves": override})
