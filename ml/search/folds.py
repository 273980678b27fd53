"""The folds that a use case declares, as problems of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ml.base.seeds import derived_seed
from ml.declaration.use_case import UseCaseSpec
from ml.examples.groups import group_codes, may_share_groups
from ml.models.family import FittedModel, Monotone, Training
from ml.tasks.counting import RowGroups
from ml.tasks.encoding import Encoder
from ml.tasks.folds import Fold
from ml.tasks.objectives import SQUARED, Objective
from ml.tasks.row_weights import RowWeights
from ml.tasks.sampling import sampled_rows
from ml.tasks.task import Task
from ml.tasks.transforms import Transform


@dataclass(frozen=True)
class Folded:
    """The folds as problems of their own, each with an encoder that has seen the rows that it learns from only.

    `judged[i]` are the positions, among all `rows` training rows, of those that fold i is judged on.
    """

    parts: tuple[Training, ...]
    judged: tuple[np.ndarray, ...]
    rows: int

    def predictions(self, models: Sequence[FittedModel]) -> np.ndarray:
        """Return out-of-fold answers, float64 [rows] or [rows, n_classes]; NaN for rows that no fold is judged on."""
        answers = [model.predict(part.X_valid) for model, part in zip(models, self.parts, strict=True)]
        out_of_fold = np.full((self.rows, *answers[0].shape[1:]), np.nan)
        for at, answer in zip(self.judged, answers, strict=True):
            out_of_fold[at] = answer
        return out_of_fold


def folded(
    frame: pd.DataFrame,
    y: np.ndarray,
    encoder: Encoder,
    task: Task,
    folds: Sequence[Fold],
    positions: np.ndarray,
    weights: RowWeights | None = None,
    objective: Objective = SQUARED,
    transform: Transform | None = None,
    monotone: Monotone | None = None,
    ranked: RowGroups | None = None,
) -> Folded:
    """Return the folds of those of the rows `frame`, labelled `y`, at some positions, with the columns of `encoder`."""
    parts = []
    for fold in folds:
        learned, judged = positions[fold.learned], positions[fold.judged]
        fitted = encoder.fitted_again(frame.iloc[learned])
        X, X_judged = fitted.encode(frame.iloc[learned]), fitted.encode(frame.iloc[judged])
        weighed, within = weights and weights.fold(y, learned, judged), ranked and ranked.fold(learned, judged)
        how = weighed, objective, transform, monotone or {}, within
        parts.append(Training(X, y[learned], X_judged, y[judged], fitted, task, *how))
    return Folded(tuple(parts), tuple(positions[fold.judged] for fold in folds), len(frame))


def declared_folds(
    spec: UseCaseSpec, train: pd.DataFrame, data: Training, rows: int | None, groups: pd.Series | None = None
) -> Folded | None:
    """Return the declared folds of at most `rows` of the training rows `train`; None if none are declared.

    `groups` are those of `train` that the declared split keeps whole, null where a row belongs to none. In folds by
    time they may be in two, as in a split by dates, where the audit only warns of that. Equal rows are kept together
    where a random split keeps them. Of rows that are ranked within groups, whole groups are chosen.
    """
    if not spec.tuning.folds:
        return None
    split, limit = spec.examples.split, len(data.y) if rows is None else rows
    within = data.ranked.learned if data.ranked else None
    positions = sampled_rows(data.y, data.task, limit, derived_seed(spec.seed, "sample"), within)
    folds = split.folds(
        train[list(split.folded_by)].iloc[positions],
        data.y[positions],
        data.task,
        spec.tuning.folds,
        derived_seed(spec.seed, "folds"),
        _groups(spec, data.X[positions], None if groups is None else groups.iloc[positions]),
        may_share=may_share_groups(spec),
    )
    how = data.weights, data.objective, data.transform, data.monotone, data.ranked
    return folded(train, data.y, data.encoder, data.task, folds, positions, *how)


def _groups(spec: UseCaseSpec, X: np.ndarray, groups: pd.Series | None) -> np.ndarray | None:
    """Return the numbers of the groups that folds keep whole: those of the split, or equal rows of X; None for none."""
    if groups is not None:
        return group_codes(groups)
    most = spec.examples.split.together(len(X))
    if most == 0:
        return None
    rows = np.ascontiguousarray(X + 0.0).view(np.dtype((np.void, X.dtype.itemsize * X.shape[1]))).ravel()
    _, numbers, sizes = np.unique(rows, return_inverse=True, return_counts=True)
    copies = (sizes > 1) & (sizes <= most)
    return group_codes(pd.Series(numbers).where(copies[numbers])) if copies.any() else None
