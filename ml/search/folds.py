"""Folds: which training rows a fold learns from, and which it is judged on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd

from ml.base.seeds import derived_seed
from ml.declaration.part import duration
from ml.declaration.use_case import UseCaseSpec
from ml.examples.groups import group_codes, shared_between_times
from ml.models.family import FittedModel, Training
from ml.tasks.encoding import Encoder
from ml.tasks.metrics import Task
from ml.tasks.sampling import sampled_rows


class FoldError(ValueError):
    """The rows cannot be folded as declared."""


@dataclass(frozen=True)
class Fold:
    """Positions of the rows that a fold learns from, and of those that it is judged on; both ascending, apart.

    A family that stops early stops by the rows that it is judged on.
    """

    learned: np.ndarray
    judged: np.ndarray


@dataclass(frozen=True)
class Folded:
    """The folds as problems of their own, each with an encoder that has seen the rows that it learns from only.

    `judged[i]` are the positions, among all `rows` training rows, of those that fold i is judged on.
    """

    parts: tuple[Training, ...]
    judged: tuple[np.ndarray, ...]
    rows: int

    def predictions(self, models: Sequence[FittedModel]) -> np.ndarray:
        """Out-of-fold answers, float64 [rows] or [rows, n_classes]; NaN for rows that no fold is judged on."""
        answers = [model.predict(part.X_valid) for model, part in zip(models, self.parts, strict=True)]
        found = np.full((self.rows, *answers[0].shape[1:]), np.nan)
        for at, answer in zip(self.judged, answers, strict=True):
            found[at] = answer
        return found


def folded(
    frame: pd.DataFrame, y: np.ndarray, encoder: Encoder, task: Task, folds: Sequence[Fold], kept: np.ndarray
) -> Folded:
    """The folds of the training rows `frame`, labelled `y`, at the positions `kept`; columns are those of `encoder`."""
    parts = []
    for fold in folds:
        learned, judged = kept[fold.learned], kept[fold.judged]
        own = Encoder.fit(frame.iloc[learned], encoder.numeric, list(encoder.categories))
        X, X_judged = own.encode(frame.iloc[learned]), own.encode(frame.iloc[judged])
        parts.append(Training(X, y[learned], X_judged, y[judged], own, task))
    return Folded(tuple(parts), tuple(kept[fold.judged] for fold in folds), len(frame))


def declared_folds(
    spec: UseCaseSpec, train: pd.DataFrame, data: Training, rows: int | None, groups: pd.Series | None = None
) -> Folded | None:
    """The folds that a use case declares of at most `rows` of its training rows `train`; None if it declares none.

    `groups` are those of `train` that the declared split keeps whole, null where a row belongs to none. In folds by
    time they may be in two, as in a split by dates, where the audit only warns of that.
    """
    declared = spec.tuning.folds
    if not declared:
        return None
    seed = derived_seed(spec.seed, "folds")
    limit = len(data.y) if rows is None else rows
    kept = sampled_rows(data.y, data.task, limit, derived_seed(spec.seed, "sample"))
    y, codes = data.y[kept], None if groups is None else group_codes(groups.iloc[kept])
    if spec.examples.split.by_time:
        embargo = spec.examples.split.embargo
        apart = duration(embargo) if embargo else None
        whole = None if shared_between_times(spec) else codes
        folds = time_folds(train["cutoff"].iloc[kept], y, data.task, declared, apart, whole)
    else:
        folds = random_folds(y, data.task, declared, seed, codes)
    return folded(train, data.y, data.encoder, data.task, folds, kept)


def random_folds(y: np.ndarray, task: Task, folds: int, seed: int, groups: np.ndarray | None = None) -> list[Fold]:
    """Shuffled folds, of classes with the same shares in each; every row is judged once.

    With `groups`, the number of each row's group, no group is in two folds, and the shares are as near as that allows.
    Raises FoldError for a class that has fewer rows than there are folds, and where there are too few groups.
    """
    from sklearn.model_selection import KFold, StratifiedKFold

    if groups is not None:
        return _grouped_folds(y, task, folds, seed, groups)
    if task.kind == "regression":
        if len(y) < folds:
            raise FoldError(f"{len(y)} training rows cannot make {folds} folds. Lower tuning.folds.")
        splitter = KFold(folds, shuffle=True, random_state=seed)
    else:
        _require_members(y, task, folds)
        splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    return [Fold(learned, judged) for learned, judged in splitter.split(np.zeros(len(y)), y)]


def _grouped_folds(y: np.ndarray, task: Task, folds: int, seed: int, groups: np.ndarray) -> list[Fold]:
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

    if (found := len(np.unique(groups))) < folds:
        raise FoldError(f"The training rows of {found} groups cannot make {folds} folds. Lower tuning.folds.")
    if task.kind == "regression":
        splitter: Any = GroupKFold(folds, shuffle=True, random_state=seed)
    else:
        _require_members(y, task, folds)
        splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    made = [Fold(*parts) for parts in splitter.split(np.zeros(len(y)), y, groups)]
    for number, fold in enumerate(made, start=1):
        _require_classes(fold, y, task, f"Fold {number} of {folds}, of whole groups,")
    return made


def time_folds(
    cutoff: pd.Series,
    y: np.ndarray,
    task: Task,
    folds: int,
    embargo: timedelta | None,
    groups: np.ndarray | None = None,
) -> list[Fold]:
    """Expanding windows: of `folds` + 1 spans of about as many rows, each but the first is judged by what is earlier.

    Rows of one time are never divided. What lies less than `embargo` before a window is not learned from, and neither
    is what belongs to one of its `groups`, the number of which each row has. Raises FoldError where a window lacks
    rows or classes.
    """
    times = cutoff.to_numpy("datetime64[ns]")
    ordered = np.sort(times)
    starts = [ordered[round(len(times) * part / (folds + 1))] for part in range(1, folds + 1)]
    known_until = [start - np.timedelta64(pd.Timedelta(embargo or timedelta(0)).value, "ns") for start in starts]
    found = []
    for number, (known, start) in enumerate(zip(known_until, starts, strict=True), start=1):
        later = times < starts[number] if number < folds else np.ones(len(times), bool)
        judged = (times >= start) & later
        shared = np.isin(groups, groups[judged]) if groups is not None else np.zeros(len(times), bool)
        fold = Fold(np.flatnonzero((times < known) & ~shared), np.flatnonzero(judged))
        without = "" if groups is None else " without the groups that it is judged on,"
        _require_classes(
            fold, y, task, f"Window {number} of {folds}, from {start.astype('datetime64[s]')} on,{without}"
        )
        found.append(fold)
    return found


def _require_members(y: np.ndarray, task: Task, folds: int) -> None:
    codes, counts = np.unique(y, return_counts=True)
    few = {_name(task, code): int(count) for code, count in zip(codes, counts, strict=True) if count < folds}
    if few:
        raise FoldError(
            f"Some classes have fewer training rows than there are folds ({folds}): {few}. "
            "Lower tuning.folds, or leave these classes out with examples.where."
        )


def _require_classes(fold: Fold, y: np.ndarray, task: Task, which: str) -> None:
    remedy = "Lower tuning.folds, or declare folds: 0 to tune on the validation split."
    for part, rows in (("learns from", fold.learned), ("is judged on", fold.judged)):
        if len(rows) < 2:
            raise FoldError(f"{which} {part} {len(rows)} rows. {remedy}")
        needed = task.kind == "binary" or (task.kind == "multiclass" and part == "learns from")
        if needed and (missing := sorted(set(y) - set(y[rows]))):
            raise FoldError(f"{which} {part} no row of {[_name(task, code) for code in missing]}. {remedy}")


def _name(task: Task, code: object) -> str:
    return task.classes[int(str(code))] if task.classes else str(code)
