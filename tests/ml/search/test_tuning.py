"""The search is repeated exactly, whoever evaluates it and however often it begins, and its winner is what it says."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from optuna.storages import InMemoryStorage
from sklearn.metrics import log_loss

from ml.declaration.catalogue import CATALOGUE
from ml.models.catalogue import family
from ml.models.family import Training
from ml.models.progress import CheckpointFolder
from ml.search import tuning
from ml.search.evaluator import Evaluator, Fitter, Job
from ml.search.folds import Folded, folded
from ml.search.rungs import Pruned, Watch, rung_thresholds
from ml.search.study import TRIALS_TO_COMPARE, Search, Trial
from ml.search.tuning import Refit, TunedModel, able_to_settle, tune
from ml.tasks.encoding import Encoder
from ml.tasks.folds import random_folds
from ml.tasks.metrics import score
from ml.tasks.task import Kind, Task
from tests.support import toy

# With these there is always something to split.
GROWING = Search(space={"num_leaves": 4, "min_data_in_leaf": 5, "feature_fraction": 1.0})


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"a": random.normal(size=900), "b": random.normal(size=900), "c": random.choice([*"xyz"], 900)}
    )
    frame["constant"], frame["missing"] = 3.0, np.nan
    frame["y"] = (frame["a"] + (frame["c"] == "x") + random.normal(0, 0.5, 900) > 0.5).astype("int8")
    return frame


def training(train: pd.DataFrame, valid: pd.DataFrame, kind: Kind = "binary") -> Training:
    encoder, task = Encoder.fit(train, ["a", "b", "constant", "missing"], ["c"]), Task(kind)
    y, y_valid = (task.labels(rows["y"]) for rows in (train, valid))
    return Training(encoder.encode(train), y, encoder.encode(valid), y_valid, encoder, task)


@pytest.fixture(scope="module")
def data(frame: pd.DataFrame) -> Training:
    return training(frame[:600], frame[600:])


@pytest.fixture(scope="module")
def folds(frame: pd.DataFrame, data: Training) -> Folded:
    return folded(frame[:600], data.y, data.encoder, data.task, random_folds(data.y, data.task, 3, 0), np.arange(600))


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> Any:
    def register(chosen: Any) -> str:
        monkeypatch.setattr(tuning, "family", lambda name: chosen if name == chosen.name else family(name))
        return str(chosen.name)

    return register


@dataclass(frozen=True)
class Moody(toy.Toy):
    """Fails, or is no number, where its weight says so; every fit differs where it is `restless`."""

    name: str = "moody"
    restless: bool = False

    def fit(self, data: Training, params: Mapping[str, Any], *, seed: int, **more: Any) -> toy.Weighing:
        if params["weight"] < 0.3:
            raise RuntimeError("not today")
        if params["weight"] < 0.5:
            return toy.Weighing(float("nan"))
        return toy.Weighing(params["weight"] + (np.random.default_rng().normal() if self.restless else 0.0))


@pytest.mark.slow
def test_the_study_does_not_depend_on_the_number_of_workers(data: Training, folds: Folded) -> None:
    first, second = (
        tune("logistic", data, trials=8, seed=3, folds=folds, search=Search(batch=3, workers=workers))
        for workers in (1, 2)
    )

    assert first.trials == second.trials
    assert first.score == second.score
    assert np.array_equal(first.valid_predictions, second.valid_predictions)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "fixed"), [("lightgbm", {}), ("mlp", {"epochs": 4})])
def test_what_workers_share_and_prune_does_not_depend_on_their_number(
    name: str, fixed: dict[str, Any], data: Training, folds: Folded
) -> None:
    one, two, three = (
        tune(name, data, trials=9, seed=3, fixed=fixed, folds=folds, search=Search(batch=3, workers=workers)).trials
        for workers in (1, 2, 3)
    )

    assert {trial.state for trial in one} == {"COMPLETE", "PRUNED"}
    assert one == two == three


def test_a_study_goes_on_where_it_ended_as_if_it_had_been_longer_from_the_start() -> None:
    storage, whole = InMemoryStorage(), toy.study(Search(batch=4))

    short = toy.study(Search(batch=4, storage=storage), trials=7)
    more = toy.study(Search(batch=4, storage=storage))

    assert short == whole[:7]
    assert more == whole
    assert toy.study(Search(batch=4, storage=storage), trials=5) == whole[:5]


def test_other_seeds_and_batches_give_other_studies() -> None:
    assert toy.study(Search(batch=4)) != toy.study(Search(batch=3))


def test_a_trial_is_pruned_where_it_is_worse_than_the_best_third_of_earlier_batches() -> None:
    trials = toy.study(Search(batch=4))

    def mean(trial: Trial, parts: int) -> float:
        return sum(trial.folds[:parts]) / parts

    pruned = [trial for trial in trials if trial.state == "PRUNED"]
    assert pruned
    for trial in trials:
        earlier = [other for other in trials[: trial.number - trial.number % 4] if other.state == "COMPLETE"]
        if trial.state == "FAIL" or len(earlier) < TRIALS_TO_COMPARE:
            assert trial.state != "PRUNED"
            continue
        for parts in range(1, min(len(trial.folds) + 1, toy.FOLDS)):
            better = [other for other in earlier if mean(other, parts) > mean(trial, parts)]
            worse = len(better) > len(earlier) // 3
            assert worse == (trial.state == "PRUNED" and parts == len(trial.folds))
    assert all(other.state != "PRUNED" for other in toy.study(Search(batch=4, pruning=False)))


@dataclass(frozen=True)
class Learning(toy.Toy):
    """Comes nearer to its last loss, which is the better the larger its weight is, with every epoch."""

    name: str = "learning"

    def fit(
        self, data: Training, params: Mapping[str, Any], *, seed: int, watch: Any = None, **more: Any
    ) -> toy.Weighing:
        for epoch in range(1, 11):
            if watch:
                watch(epoch, 1.1 - params["weight"] * (1 - 0.5**epoch))
        return toy.Weighing(params["weight"])


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_trial_is_pruned_at_the_rung_where_its_loss_is_above_the_median_of_earlier_batches(
    workers: int, data: Training, registered: Any
) -> None:
    name = registered(Learning())

    trials = tune(name, data, trials=24, seed=2, search=Search(batch=4, workers=workers)).trials

    assert {trial.state for trial in trials} == {"COMPLETE", "PRUNED"}
    for trial in trials:
        earlier = [other.losses[0] for other in trials[: trial.number - trial.number % 4] if other.state == "COMPLETE"]
        losses = trial.losses[0]
        assert len(losses) == (5 if trial.state == "COMPLETE" else len(losses))  # after 1, 2, 4 and 8 epochs, and last
        if len(earlier) < TRIALS_TO_COMPARE:
            assert trial.state == "COMPLETE"
            continue
        for rung in range(min(len(losses), 4)):
            worse = losses[rung] > sorted(losses_of_other[rung] for losses_of_other in earlier)[len(earlier) // 2]
            assert worse == (trial.state == "PRUNED" and rung == len(losses) - 1)
    whole = tune(name, data, trials=24, seed=2, search=Search(batch=4, pruning=False))
    assert all(trial.state == "COMPLETE" for trial in whole.trials)


def test_small_steps_are_compared_where_they_have_come_as_far_as_large_ones() -> None:
    thresholds = rung_thresholds([(0.6, 0.5, 0.4), (0.7, 0.3), (0.65, 0.6, 0.55, 0.5)])
    assert thresholds == (0.65, 0.5, 0.4)

    slow = Watch(thresholds)
    for rounds in range(1, 200):
        slow(rounds * 0.01, 0.7 - 0.001 * rounds)
    assert slow.whole == pytest.approx((0.6, 0.501))

    with pytest.raises(Pruned):
        slow(2.0, 0.6)
    assert slow.losses == pytest.approx([0.6, 0.501])
    assert rung_thresholds([(0.6, 0.5), ()]) == ()


def test_the_first_trials_are_the_defaults_and_what_is_known_to_be_good(data: Training, registered: Any) -> None:
    class Known(toy.Toy):
        def good(self) -> list[dict[str, Any]]:
            return [{"weight": 0.8}, {"weight": 0.1}]

    name = registered(Known(name="known"))

    tuned = tune(name, data, trials=3, seed=0)
    begun = tune(name, data, trials=1, seed=0, search=Search(first={"weight": 0.7, "gone": 1}))

    assert [trial.params["weight"] for trial in tuned.trials[:2]] == [0.1, 0.8]
    assert begun.trials[0].params == {"weight": 0.7, "noise": 0.01, "sign": 1}


def test_a_trial_that_fails_says_why_and_the_study_goes_on(data: Training, registered: Any) -> None:
    tuned = tune(registered(Moody()), data, trials=12, seed=1)

    reasons = {trial.reason for trial in tuned.trials}
    assert tuned.trials[0].reason == "RuntimeError: not today"
    assert "ArithmeticError: 300 of 300 predictions are no finite numbers" in reasons
    assert None in reasons
    assert tuned.params["weight"] >= 0.5


def test_a_search_turns_away_from_settings_that_fail(data: Training, registered: Any) -> None:
    @dataclass(frozen=True)
    class Limited(toy.Toy):
        """Below a half it fails, and best is what lies right above."""

        name: str = "limited"

        def fit(self, data: Training, params: Mapping[str, Any], *, seed: int, **more: Any) -> toy.Weighing:
            if params["weight"] < 0.5:
                raise RuntimeError("too light")
            return toy.Weighing(1 - params["weight"])

    trials = tune(registered(Limited()), data, trials=40, seed=1, search=Search(pruning=False)).trials

    assert {trial.state for trial in trials[:10]} == {"COMPLETE", "FAIL"}
    assert [trial.state for trial in trials[20:]].count("COMPLETE") >= 5


def test_a_study_in_which_every_trial_fails_names_the_first_reason(data: Training, registered: Any) -> None:
    with pytest.raises(RuntimeError, match=r"All 3 trials of 'moody' failed. The first: RuntimeError: not today"):
        tune(registered(Moody()), data, trials=3, seed=1, search=Search(space={"weight": 0.2}))


def test_a_winner_that_has_no_score_on_validation_is_refused_with_the_reason(
    frame: pd.DataFrame, folds: Folded, registered: Any
) -> None:
    few, name = training(frame[:600], frame[600:700]), registered(toy.Toy())

    with pytest.raises(RuntimeError, match=r"on the 100 validation rows: no precision_at_150: there are 100 rows, few"):
        tune(name, few, trials=1, seed=1, metric="precision_at_150", folds=folds)


def test_a_winner_that_scores_otherwise_when_it_is_evaluated_again_is_refused(data: Training, registered: Any) -> None:
    name = registered(Moody(restless=True))
    how = {"trials": 2, "seed": 1, "search": Search(space={"weight": 0.6})}

    with pytest.raises(RuntimeError, match=r"the winner, scores 0\.\d+ when it is evaluated again .* study has 0\.\d+"):
        tune(name, data, **how)
    assert tune(name, data, **how, refit=Refit(tolerance=1.0)).params["weight"] == 0.6


def test_predictions_are_those_of_models_that_have_not_learned_from_the_rows(data: Training, folds: Folded) -> None:
    tuned = tune("lightgbm", data, trials=3, seed=0, folds=folds)

    best = tuned.trials[tuned.best_trial]
    oof = tuned.oof_predictions
    assert oof is not None
    assert not np.isnan(oof).any()
    scores = [score("roc_auc", data.y[rows], oof[rows]) for rows in folds.judged]
    assert tuple(scores) == best.folds
    assert best.score == pytest.approx(np.mean(scores), abs=1e-15)
    assert score("roc_auc", data.y_valid, tuned.valid_predictions) == tuned.score
    assert np.array_equal(tuned.model.predict(data.X_valid), tuned.valid_predictions)
    assert tune("lightgbm", data, trials=1, seed=0).oof_predictions is None


def test_several_seeds_of_the_refit_show_the_spread_and_keep_the_first(data: Training) -> None:
    one, three = (tune("lightgbm", data, trials=2, seed=0, refit=Refit(seeds=seeds)) for seeds in (1, 3))

    assert three.refit_scores[0] == three.score == one.score
    assert len(set(three.refit_scores)) == 3
    assert np.array_equal(one.valid_predictions, three.valid_predictions)


def test_the_mean_of_several_refits_answers_and_is_judged(data: Training) -> None:
    first, mean = (tune("lightgbm", data, trials=2, seed=0, refit=Refit(seeds=3, mean=mean)) for mean in (False, True))
    again = tune("lightgbm", data, trials=2, seed=0, refit=Refit(seeds=3, mean=True))

    members = [member.model for member in mean.model.members]  # type: ignore[attr-defined]
    assert np.array_equal(members[0].predict(data.X_valid), first.valid_predictions)
    each = [model.predict(data.X_valid) for model in members]
    assert mean.valid_predictions == pytest.approx(np.mean(each, axis=0), abs=1e-12)
    assert mean.score == score("roc_auc", data.y_valid, mean.valid_predictions)
    assert mean.refit_scores == first.refit_scores
    assert np.array_equal(mean.valid_predictions, again.valid_predictions)


def test_every_refit_of_a_mean_learns_from_all_rows_as_long_as_it_did_before(
    frame: pd.DataFrame, data: Training
) -> None:
    everything = training(frame, frame[600:])
    before, after = (
        tune("lightgbm", data, trials=2, seed=0, search=GROWING, refit=Refit(seeds=3, everything=rows, mean=True))
        for rows in (None, everything)
    )

    learned, refitted = (
        [member.model for member in model.model.members]  # type: ignore[attr-defined]
        for model in (before, after)
    )
    assert [model.rounds for model in refitted] == [model.rounds for model in learned]
    assert len({model.text for model in (*learned, *refitted)}) == 6
    assert np.array_equal(before.valid_predictions, after.valid_predictions)


def test_with_folds_a_refit_on_everything_learns_as_long_as_the_median_fold(
    frame: pd.DataFrame, data: Training, folds: Folded
) -> None:
    everything = training(frame, frame[600:])

    refit = Refit(everything=everything)
    tuned = tune("lightgbm", data, trials=1, seed=0, folds=folds, search=GROWING, refit=refit)

    fitter = Fitter(family("lightgbm"), 0)
    rounds = [fitter(part, tuned.params, 0).rounds for part in folds.parts]  # type: ignore[attr-defined]
    assert len(set(rounds)) > 1
    assert tuned.model.rounds == sorted(rounds)[1]  # type: ignore[attr-defined]


def test_the_trials_that_come_next_are_refitted_as_the_winner_is(data: Training, folds: Folded) -> None:
    alone, three = (tune("logistic", data, trials=4, seed=0, folds=folds, refit=Refit(best=best)) for best in (1, 3))

    ranked = sorted(three.trials, key=lambda trial: (-(trial.score or 0), trial.number))
    assert [three.best_trial, *(model.best_trial for model in three.next_best)] == [t.number for t in ranked[:3]]
    assert np.array_equal(three.valid_predictions, alone.valid_predictions)
    assert alone.next_best == ()
    for model, trial in zip(three.next_best, ranked[1:3], strict=True):
        assert model.params == trial.params
        assert model.oof_predictions is not None
        scores = [score("roc_auc", data.y[rows], model.oof_predictions[rows]) for rows in folds.judged]
        assert tuple(scores) == trial.folds


def test_of_fewer_trials_than_are_wanted_all_are_refitted(data: Training) -> None:
    assert len(tune("logistic", data, trials=2, seed=0, refit=Refit(best=5)).next_best) == 1


@pytest.mark.slow
def test_a_refit_on_everything_learns_as_long_as_the_winner_and_is_judged_before(
    frame: pd.DataFrame, data: Training
) -> None:
    everything = training(frame, frame[600:])

    for name, search in (("lightgbm", GROWING), ("mlp", Search())):
        plain, refitted = (
            tune(name, data, trials=2, seed=0, search=search, refit=Refit(everything=rows))
            for rows in (None, everything)
        )

        assert length(refitted) == length(plain) > 1
        assert refitted.score == plain.score
        assert not np.array_equal(refitted.model.predict(data.X_valid), plain.valid_predictions)


def length(tuned: TunedModel) -> int:
    model: Any = tuned.model
    return int(model.rounds if tuned.family == "lightgbm" else model.epochs)


def test_a_network_that_stops_after_so_many_epochs_is_the_one_that_had_its_best_there(data: Training) -> None:
    mlp: Any = family("mlp")
    best = mlp.fit(data, mlp.defaults(), seed=0)

    again = mlp.fit(data, mlp.settled(mlp.defaults(), best), seed=0)

    assert best.epochs < best.schedule
    assert np.array_equal(again.predict(data.X_valid), best.predict(data.X_valid))


def test_a_family_that_cannot_settle_is_not_refitted_on_validation_rows(
    frame: pd.DataFrame, data: Training, registered: Any
) -> None:
    assert able_to_settle() == sorted(CATALOGUE)

    with pytest.raises(ValueError, match=r"train_and_validation is not for 'toy', .* For these it is: .*'lightgbm'"):
        tune(registered(toy.Toy()), data, trials=1, seed=0, refit=Refit(everything=training(frame, frame[600:])))


def test_shared_bins_make_the_very_same_models(data: Training) -> None:
    chosen: Any = family("lightgbm")
    settings = [{"min_data_in_leaf": 200, "num_leaves": 5}, {"min_data_in_leaf": 10}, {"min_data_in_leaf": 90}]
    shared = chosen.prepare(data)

    for setting in settings:
        params = chosen.defaults() | setting
        assert chosen.fit(data, params, seed=4, prepared=shared).text == chosen.fit(data, params, seed=4).text


@pytest.mark.parametrize("name", ["lightgbm", "mlp", "xgboost", "catboost"])
def test_what_is_watched_learns_the_same_and_can_be_ended(name: str, data: Training, tmp_path: Path) -> None:
    if name in ("xgboost", "catboost"):
        pytest.importorskip(name)
    fitter = Fitter(family(name), 0, checkpoints=CheckpointFolder(tmp_path, every_s=0))
    params = fitter.family.defaults()
    heard: list[tuple[float, float]] = []

    watched = fitter(data, params, watch=lambda *call: heard.append(call))

    assert np.array_equal(watched.predict(data.X_valid), fitter(data, params).predict(data.X_valid))
    steps = [progress for progress, _ in heard]
    assert steps == pytest.approx([(number + 1) * steps[0] for number in range(len(steps))])
    assert steps[0] == (1 if name == "mlp" else params["learning_rate"])
    least = min(loss for _, loss in heard)
    assert least == pytest.approx(log_loss(data.y_valid, watched.predict(data.X_valid)), rel=1e-5)
    with pytest.raises(Pruned):
        fitter(data, params, watch=Watch((least / 2,)))
    assert not list(tmp_path.iterdir())


def test_a_part_is_prepared_once_for_all_trials(data: Training, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: Any = family("lightgbm")
    prepared, prepare = [], type(chosen).prepare
    monkeypatch.setattr(type(chosen), "prepare", lambda self, part: prepared.append(part) or prepare(self, part))
    evaluate = Evaluator(Fitter(chosen, 0), (data, data), "roc_auc")

    outcomes = [evaluate(Job(number, chosen.defaults())) for number in range(3)]

    assert len(prepared) == 2
    assert [outcome.state for outcome in outcomes] == ["COMPLETE"] * 3


def test_rows_that_are_searched_on_are_fewer_than_those_of_the_refit(data: Training) -> None:
    tuned = tune("lightgbm", data, trials=2, seed=0, rows=200)

    assert tuned.trials[tuned.best_trial].score != tuned.score
    assert tuned.score == tune("lightgbm", replace(data), trials=2, seed=0, rows=200).score
