"""A blend of families: which of them, how much of each, and what it is worth.

Greedy selection with replacement, after Caruana, Niculescu-Mizil, Crew and Ksikes, Ensemble Selection from Libraries of
Models, ICML 2004: the family whose addition scores best is added again and again; its weight is how often it was. The
best number of additions counts, so the blend is never worse than its best member on the rows that it is selected on.
That makes its score on them too good. It is therefore judged on rows that its weights have not seen.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from ml.search.blended import FittedEnsemble, Member, fit_sharpness, sharpened
from ml.search.tuning import TunedModel
from ml.tasks.counting import EQUALLY, Counting
from ml.tasks.metrics import Metric, score

NAME = "ensemble"


@dataclass(frozen=True)
class Selection:
    """The weights, which sum to 1, and the path to them: each family that was added, and the score of the sum then.

    The `sharpness` is what probabilities are raised to afterwards: 1 leaves them as they are.
    """

    weights: Mapping[str, float]
    path: tuple[tuple[str, float], ...]
    rows: int
    out_of_fold: bool
    sharpness: float = 1.0


def blend(
    tuned: Mapping[str, TunedModel],
    y_train: np.ndarray,
    y_valid: np.ndarray,
    *,
    rounds: int,
    counting: tuple[Counting, Counting] = (EQUALLY, EQUALLY),
    calibrate: bool = False,
) -> tuple[TunedModel, Selection]:
    """Blend the families into a model like any other, and return how it was selected.

    The next best trials of a family, if it has them, take part as `<family>.2`, `<family>.3` and so on. With
    `calibrate`, probabilities get the sharpness that suits the rows of the selection. The metric goes by how rows of
    train and of validation are `counting`.

    Where all families have out-of-fold predictions, it is selected on the rows that all of them have some for, and
    its score is that on validation. Otherwise it is selected on validation, and its score is cross-fitted: that of
    answers by weights selected on one half of these rows for the other half. Raises ValueError if the families do not
    share one encoder, metric and task.
    """
    if len(shared := {(repr(model.encoder.to_dict()), model.metric, model.task) for model in tuned.values()}) > 1:
        raise ValueError(
            f"The {len(tuned)} families {sorted(tuned)} have {len(shared)} different encoders, metrics or tasks. An "
            "ensemble needs one: declare the same `refit` for all."
        )
    first = next(iter(tuned.values()))
    if calibrate and first.task.kind == "regression":
        raise ValueError("Only probabilities can be calibrated; the task is 'regression': leave `calibrate` out.")
    tuned = dict(_candidates(tuned))
    valid = {name: model.valid_predictions for name, model in tuned.items()}
    held_out = {name: model.oof_predictions for name, model in tuned.items() if model.oof_predictions is not None}
    folded = len(held_out) == len(tuned)
    seen = _answered(held_out.values(), len(y_train)) if folded else np.ones(len(y_valid), bool)
    answers, y = ({name: p[seen] for name, p in held_out.items()}, y_train[seen]) if folded else (valid, y_valid)
    learned, watched = counting
    weights, path = select(answers, y, first.metric, rounds, learned.at(seen) if folded else watched)
    members = tuple(Member(name, weight, tuned[name].model) for name, weight in weights.items())
    sharpness = 1.0
    if calibrate:
        sharpness = fit_sharpness(y, weighted_mean(answers, weights), learned.at(seen) if folded else watched)
    blended = sharpened(weighted_mean(valid, weights), sharpness)
    judged = blended if folded else cross_fitted(valid, y_valid, first.metric, rounds, watched, calibrate)
    ensemble = TunedModel(
        family=NAME,
        params=weights,
        model=FittedEnsemble(members, len(first.encoder.features), first.task, sharpness),
        encoder=first.encoder,
        metric=first.metric,
        score=score(first.metric, y_valid, judged, watched),
        trials=(),
        best_trial=0,
        task=first.task,
        valid_predictions=blended,
    )
    return ensemble, Selection(weights, path, len(y), folded, sharpness)


def _candidates(tuned: Mapping[str, TunedModel]) -> Iterator[tuple[str, TunedModel]]:
    """Yield the models of the families and of their next best trials, by name."""
    for family, winner in tuned.items():
        yield family, winner
        yield from ((f"{family}.{place}", model) for place, model in enumerate(winner.next_best, start=2))


def select(
    predictions: Mapping[str, np.ndarray],
    y: np.ndarray,
    metric: str,
    rounds: int,
    counting: Counting = EQUALLY,
) -> tuple[dict[str, float], tuple[tuple[str, float], ...]]:
    """Return the weights of the families that were added, by name, and the path of additions.

    Of additions that score the same the first by name is taken, and of numbers of additions the smallest.
    """
    sign, names = Metric.named(metric).sign, sorted(predictions)
    total: np.ndarray = np.zeros_like(predictions[names[0]])
    path: list[tuple[str, float]] = []
    for added in range(1, rounds + 1):
        scores = {name: score(metric, y, (total + predictions[name]) / added, counting) for name in names}
        if wrong := sorted(name for name, value in scores.items() if not math.isfinite(value)):
            raise ValueError(f"The {metric} of {wrong} is not a number on the {len(y)} rows of the selection.")
        best = max(names, key=lambda name: sign * scores[name])
        total = total + predictions[best]
        path.append((best, scores[best]))
    taken = max(range(rounds), key=lambda place: sign * path[place][1]) + 1
    counts = Counter(name for name, _ in path[:taken])
    return {name: counts[name] / taken for name in names if counts[name]}, tuple(path)


def cross_fitted(
    predictions: Mapping[str, np.ndarray],
    y: np.ndarray,
    metric: str,
    rounds: int,
    counting: Counting = EQUALLY,
    calibrate: bool = False,
) -> np.ndarray:
    """Return answers to all rows, those of each half blended by weights that were selected on the other half.

    So is their sharpness, if they are to `calibrate`.

    Of rows in the order of their labels every second one is in the same half: both have the same shares of classes. So
    is every second group, in the order of their mean labels, where rows are ranked within groups.
    """
    answers = np.empty_like(next(iter(predictions.values())))
    halves = _halves(y, counting.groups)
    for judged, learned in (halves, halves[::-1]):
        of_half = {name: p[learned] for name, p in predictions.items()}
        weights, _ = select(of_half, y[learned], metric, rounds, counting.at(learned))
        mean = weighted_mean(predictions, weights)
        sharpness = fit_sharpness(y[learned], mean[learned], counting.at(learned)) if calibrate else 1.0
        answers[judged] = sharpened(mean[judged], sharpness)
    return answers


def _halves(y: np.ndarray, groups: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions of the rows of both halves, of whole groups where there are some."""
    if groups is None:
        order = np.argsort(y, kind="stable")
        return order[::2], order[1::2]
    numbers = np.unique(groups, return_inverse=True)[1]
    order = np.argsort(np.bincount(numbers, y) / np.bincount(numbers), kind="stable")
    in_second = np.isin(numbers, order[1::2])
    return np.flatnonzero(~in_second), np.flatnonzero(in_second)


def weighted_mean(predictions: Mapping[str, np.ndarray], weights: Mapping[str, float]) -> np.ndarray:
    """Return the blend of the families' answers."""
    mean: np.ndarray = np.sum([weight * predictions[name] for name, weight in weights.items()], axis=0)
    return mean


def _answered(predictions: Iterable[np.ndarray], rows: int) -> np.ndarray:
    """Return a mask of the rows that all predictions answer."""
    missing = [np.isnan(p).reshape(rows, -1).any(axis=1) for p in predictions]
    answered: np.ndarray = ~np.any(missing, axis=0)
    return answered
