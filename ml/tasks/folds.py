"""Folds: the training rows that each learns from, and those that it is judged on."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd

from ml.tasks.task import Task


class FoldError(ValueError):
    """The rows cannot be folded as declared."""


@dataclass(frozen=True)
class Fold:
    """Positions of the rows that a fold learns from, and of those that it is judged on; both ascending, apart.

    A family that stops early stops by the rows that it is judged on.
    """

    learned: np.ndarray
    judged: np.ndarray


def random_folds(y: np.ndarray, task: Task, folds: int, seed: int, groups: np.ndarray | None = None) -> list[Fold]:
    """Return shuffled folds, of classes with the same shares in each; every row is judged once.

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

    if (distinct := len(np.unique(groups))) < folds:
        raise FoldError(f"The training rows of {distinct} groups cannot make {folds} folds. Lower tuning.folds.")
    if task.kind == "regression":
        splitter: Any = GroupKFold(folds, shuffle=True, random_state=seed)
    else:
        _require_members(y, task, folds)
        splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    grouped = [Fold(*parts) for parts in splitter.split(np.zeros(len(y)), y, groups)]
    for number, fold in enumerate(grouped, start=1):
        _require_classes(fold, y, task, f"Fold {number} of {folds}, of whole groups,")
    return grouped


def time_folds(
    cutoff: pd.Series,
    y: np.ndarray,
    task: Task,
    folds: int,
    embargo: timedelta | None,
    groups: np.ndarray | None = None,
) -> list[Fold]:
    """Return expanding windows: of `folds` + 1 spans of about as many rows, each but the first is judged on.

    A window learns from what is earlier. Rows of one time are never divided. What lies less than `embargo` before a
    window is not learned from, and neither is what belongs to one of its `groups`, the number of which each row has.
    Raises FoldError where a window lacks rows or classes.
    """
    times = cutoff.to_numpy("datetime64[us]")
    ordered = np.sort(times)
    starts = [ordered[round(len(times) * part / (folds + 1))] for part in range(1, folds + 1)]
    known_until = [start - np.timedelta64(embargo or timedelta(0)) for start in starts]
    windows = []
    for number, (until, start) in enumerate(zip(known_until, starts, strict=True), start=1):
        later = times < starts[number] if number < folds else np.ones(len(times), bool)
        judged = (times >= start) & later
        shared = np.isin(groups, groups[judged]) if groups is not None else np.zeros(len(times), bool)
        fold = Fold(np.flatnonzero((times < until) & ~shared), np.flatnonzero(judged))
        without = "" if groups is None else " without the groups that it is judged on,"
        _require_classes(
            fold, y, task, f"Window {number} of {folds}, from {start.astype('datetime64[s]')} on,{without}"
        )
        windows.append(fold)
    return windows


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
