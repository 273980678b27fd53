"""The best model of a family: searched for, judged again, and refitted on all training rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from ml.base.seeds import derived_seed
from ml.declaration.catalogue import CATALOGUE, families_for
from ml.models.catalogue import family
from ml.models.family import Family, FittedModel, Training
from ml.models.progress import CheckpointFolder, Progress
from ml.search.blended import mean_of
from ml.search.evaluator import Around, Evaluator, Fitter, Job, worth
from ml.search.folds import Folded
from ml.search.space import Space
from ml.search.study import Search, Study, Trial
from ml.search.workers import evaluating
from ml.tasks.encoding import Encoder
from ml.tasks.metrics import Metric
from ml.tasks.task import BINARY, Kind, Task

__all__ = ["Refit", "Trial", "TunedModel", "able_to_settle", "derived_seed", "tune"]


def able_to_settle() -> list[str]:
    """List the families that can be refitted on the validation rows too, sorted."""
    return sorted(name for name in CATALOGUE if family(name).settles)


def able_to_learn(objective: str) -> list[str]:
    """List the families that can learn by a kind of objective, sorted."""
    return sorted(name for name in families_for("regression") if objective in family(name).objectives)


def able_to_be_monotone(objective: str) -> list[str]:
    """List the families whose answers can be made to follow a feature by a kind of objective, sorted."""
    return sorted(name for name in families_for("regression") if family(name).keeps_monotone_by(objective))


def able_to_weigh(kind: Kind, objective: str) -> list[str]:
    """List the families for a kind of task that take weights of rows by a kind of objective, sorted."""
    able = (name for name in families_for(kind) if objective in family(name).objectives)
    return sorted(name for name in able if family(name).weighs_by(objective))


@dataclass(frozen=True)
class Refit:
    """The way to refit the winner: with so many `seeds`, to see the spread of its score, and on `everything` if given.

    `everything` holds training and validation rows together. With `mean` the model answers the mean of the refits of
    all seeds, else it is the first. How far the winner's score may lie from the recorded one when it is evaluated
    again, `tolerance` says: above 0 only where training is not exact, as on a GPU. The `best` trials are refitted, the
    winner and those that come next.
    """

    seeds: int = 1
    everything: Training | None = None
    tolerance: float = 0.0
    mean: bool = False
    best: int = 1


@dataclass(frozen=True)
class TunedModel:
    """A family's winner, refitted; `score` is what the refit on all training rows is worth on validation.

    `valid_predictions` are its answers there, `oof_predictions` the winner's to the training rows by folds that had not
    learned from them, NaN where there is none. What stops early has stopped where these rows were answered best, so
    they flatter it a little. `refit_scores` are those of every seed, the first being `score` unless the model answers
    their mean. `next_best` are the models of the trials that come next, which only a blend asks. Of several targets
    `of_targets` are the models of each, in the order of the task.
    """

    family: str
    params: Mapping[str, Any]
    model: FittedModel
    encoder: Encoder
    metric: str
    score: float
    trials: tuple[Trial, ...]
    best_trial: int
    task: Task = BINARY
    valid_predictions: np.ndarray = field(default_factory=lambda: np.empty(0), compare=False)
    oof_predictions: np.ndarray | None = field(default=None, compare=False)
    refit_scores: tuple[float, ...] = ()
    study: str = ""
    next_best: tuple[TunedModel, ...] = ()
    of_targets: tuple[TunedModel, ...] = ()

    def of(self, target: str) -> TunedModel:
        """Return the model of one of several targets."""
        return self.of_targets[self.task.targets.index(target)]


def tune(
    family_name: str,
    data: Training,
    *,
    trials: int,
    seed: int,
    metric: str = "roc_auc",
    rows: int | None = None,
    device: str = "cpu",
    threads: int = 1,
    fixed: Mapping[str, Any] = MappingProxyType({}),
    checkpoints: CheckpointFolder | None = None,
    report: Callable[[Progress], None] | None = None,
    on_trial: Callable[[Trial], None] | None = None,
    folds: Folded | None = None,
    search: Search | None = None,
    refit: Refit | None = None,
    around: Around | None = None,
) -> TunedModel:
    """Search for the best of `trials` settings, on folds or on at most `rows` training rows, and refit it on all.

    `fixed` parameters are the same in all trials. Networks leave and take up `checkpoints`, and `report` hears how the
    refit goes. Each trial is evaluated within what `around` makes of its number, here or in a worker, to which it is
    pickled. Raises RuntimeError with the first reason if every trial failed, and if the winner's score is another
    when it is evaluated again.
    """
    if trials < 1:
        raise ValueError(f"`{trials=}` must be at least 1.")
    chosen, search, refit = family(family_name), search or Search(), refit or Refit()
    sample = data if rows is None else data.sample(rows, derived_seed(seed, "sample"))
    fitter = Fitter(chosen, seed, device, threads, checkpoints)
    evaluator = Evaluator(fitter, folds.parts if folds else (sample,), metric, around)
    study = Study(Space(chosen, search.space, fixed), search, metric, seed)
    finished = []
    with evaluating(evaluator, search.workers, search.scratch) as evaluate:
        for trial in study.run(trials, evaluate):
            finished.append(trial)
            if on_trial is not None:
                on_trial(trial)
    ranked = _ranked(family_name, finished, metric)[: refit.best]
    refitter = _Refitter(family_name, evaluator, data, folds, refit, folds is None and sample is data, search.name)
    best = refitter(ranked[0], report)
    next_best = tuple(refitter(trial) for trial in ranked[1:])
    return replace(best, trials=tuple(finished), next_best=next_best)


@dataclass(frozen=True)
class _Refitter:
    """Refits trials on the training rows of `data`, and on all rows if there are any; `whole`: it was tuned on them."""

    family: str
    evaluator: Evaluator
    data: Training
    folds: Folded | None
    refit: Refit
    whole: bool
    study: str

    def __call__(self, trial: Trial, report: Callable[[Progress], None] | None = None) -> TunedModel:
        """Return the model of a trial; `report` hears of its refit."""
        fitter, data, refit, metric = self.evaluator.fitter, self.data, self.refit, self.evaluator.metric
        models = _evaluate_again(self.evaluator, trial, refit.tolerance, report if self.whole else None)
        first = models[0] if self.whole else fitter(data, trial.params, trial.number, report=report)
        seeded = (fitter(data, trial.params, trial.number, *_seed(number)) for number in range(1, refit.seeds))
        refits = [first, *seeded]
        answers = [model.predict(data.X_valid) for model in refits]
        answering = refits if refit.mean else refits[:1]
        valid: np.ndarray = np.mean(answers, axis=0) if refit.mean else answers[0]
        reached, *of_seeds = self._scores([valid, *answers])
        if refit.everything is not None:
            answering = [
                _fit_on_everything(fitter, trial, number, models if self.folds else [refitted], refit.everything)
                for number, refitted in enumerate(answering)
            ]
        encoder = (refit.everything or data).encoder
        return TunedModel(
            family=self.family,
            params=trial.params,
            model=mean_of(answering, len(encoder.features), data.task),
            encoder=encoder,
            metric=metric,
            score=reached,
            trials=(),
            best_trial=trial.number,
            task=data.task,
            valid_predictions=valid,
            oof_predictions=self.folds.predictions(models) if self.folds else None,
            refit_scores=tuple(of_seeds),
            study=self.study,
        )

    def _scores(self, answers: Sequence[np.ndarray]) -> list[float]:
        """Score refits on the validation rows. Raises RuntimeError where one has no score there, as it had on folds."""
        try:
            return [worth(self.evaluator.metric, of_refit, self.data) for of_refit in answers]
        except ArithmeticError as error:
            raise RuntimeError(
                f"The model of {self.family!r}, refitted on all training rows, has no score on the "
                f"{len(self.data.y_valid)} validation rows: {error}. Bring more of them, or declare another metric."
            ) from error


def _seed(number: int) -> tuple[object, ...]:
    """Return what the random numbers of a refit derive from beyond the trial's number: for the first, nothing."""
    return ("refit", number) if number else ()


def _ranked(family_name: str, trials: Sequence[Trial], metric: str) -> list[Trial]:
    """Return the trials with a score, the best first, the earlier of equals; raises RuntimeError if there are none."""
    scored = [trial for trial in trials if trial.score is not None]
    if not scored:
        raise RuntimeError(f"All {len(trials)} trials of {family_name!r} failed. The first: {trials[0].reason}")
    return sorted(scored, key=lambda trial: (-Metric.named(metric).sign * (trial.score or 0.0), trial.number))


def _evaluate_again(
    evaluator: Evaluator, best: Trial, tolerance: float, report: Callable[[Progress], None] | None
) -> list[FittedModel]:
    """Fit the winner's models from its recorded parameters; raises RuntimeError unless they score as recorded."""
    job = Job(best.number, best.params)
    models = [evaluator.fit(job, part, report) for part in range(len(evaluator.parts))]
    scores = [evaluator.score(part, model) for part, model in enumerate(models)]
    score_now = math.fsum(scores) / len(scores)
    if best.score is None or abs(score_now - best.score) > tolerance:
        raise RuntimeError(
            f"Trial {best.number}, the winner, scores {score_now!r} when it is evaluated again from its recorded"
            f" parameters {dict(best.params)}; the study has {best.score!r}. What it runs on is not exact, or has"
            " changed since: search anew, or state a tolerance for this family."
        )
    return models


def _fit_on_everything(
    fitter: Fitter, trial: Trial, number: int, stopped: Sequence[FittedModel], everything: Training
) -> FittedModel:
    """Fit a trial on training and validation rows, for as long as what was `stopped` by rows that it had not seen."""
    chosen = fitter.family
    if not chosen.settles:
        raise ValueError(
            f"refit: train_and_validation is not for {chosen.name!r}, whose training stops by the validation rows. "
            f"For these it is: {able_to_settle()}."
        )
    return fitter(everything, _settled(chosen, trial.params, stopped), trial.number, *_seed(number))


def _settled(chosen: Family, settings: Mapping[str, Any], stopped: Sequence[FittedModel]) -> dict[str, Any]:
    """Return settings that train as long as some models did: where these differ, as long as the median one."""
    settled = [chosen.settled(settings, model) for model in stopped]
    return {
        name: value
        if all(other[name] == value for other in settled)
        else sorted(other[name] for other in settled)[len(settled) // 2]
        for name, value in settled[0].items()
    }
