"""The relation of single columns to the target: what each alone tells of it, with an interval."""

from collections.abc import Sequence

import numpy as np

from ml.intervals.bootstrap import Estimate
from ml.profile.columns import Column
from ml.tasks.task import Task

BINS = 32  # of a number at most, each with as many rows
ENOUGH = 30  # rows of a bin: the mean of fewer says little
FOLDS = 5
CLASSES = 12  # of many classes the most frequent ones


def bins(column: Column, rows: np.ndarray) -> np.ndarray:
    """Return the bin of each of some rows: of a text its code, of a number that of its quantiles; -1 is missing."""
    values = column.values[rows]
    if column.is_text:
        codes: np.ndarray = values
        return codes
    there = ~np.isnan(values)
    if not there.any():
        return np.full(len(values), -1)
    count = min(BINS, max(2, int(there.sum()) // ENOUGH))
    edges = np.unique(np.quantile(values[there], np.linspace(0, 1, count + 1)[1:-1], method="inverted_cdf"))
    places: np.ndarray = np.where(there, np.searchsorted(edges, values, side="left"), -1)
    return places


def folds(keys: np.ndarray, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Divide rows into folds that keep those of a key, a number for each row, together: the others, and the fold."""
    drawn = np.random.default_rng(seed).permutation(int(keys.max(initial=0)) + 1) % FOLDS
    fold = drawn[keys]
    parts = [(np.flatnonzero(fold != place), np.flatnonzero(fold == place)) for place in range(FOLDS)]
    return [(others, part) for others, part in parts if len(others) and len(part)]


def held_out(codes: np.ndarray, y: np.ndarray, parts: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Predict the target of each row by the rows of the other folds that have the same code.

    The mean of a code's rows is drawn towards that of all, the more the fewer they are (Micci-Barreca 2001, as
    scikit-learn's TargetEncoder has it). A code that the others lack gets the mean of all.
    """
    from sklearn.preprocessing import TargetEncoder

    encoder = TargetEncoder(target_type="continuous", smooth="auto", cv=list(parts))
    predicted: np.ndarray = encoder.fit_transform(codes.reshape(-1, 1), y.astype(np.float64))[:, 0]
    return predicted


def alone(
    codes: np.ndarray, y: np.ndarray, task: Task, parts: Sequence[tuple[np.ndarray, np.ndarray]], confidence: float
) -> Estimate | None:
    """Estimate how well a column alone predicts the target: ROC AUC, of many classes the mean of them, or R².

    None where all rows have one code, and where a class or the spread of the target is missing.
    """
    if len(parts) < 2 or (codes == codes[0]).all():
        return None
    if task.kind == "regression":
        return _interval(*_r2(y.astype(np.float64), held_out(codes, _scaled(y), parts)), confidence, -np.inf)
    classes = [1] if task.kind == "binary" else np.argsort(-np.bincount(y), kind="stable")[:CLASSES].tolist()
    areas = [_area(y == code, held_out(codes, y == code, parts)) for code in classes if 0 < (y == code).sum() < len(y)]
    if not areas:
        return None
    value, influence = np.mean([area for area, _ in areas]), np.mean([rows for _, rows in areas], axis=0)
    return _interval(float(value), influence, confidence, 0.0)


def _scaled(y: np.ndarray) -> np.ndarray:
    """Return numbers around 0 of size 1 at most, whose squares a double holds."""
    with np.errstate(over="ignore"):
        middle = y / 2 - np.median(y) / 2
    scaled: np.ndarray = middle / (np.abs(middle).max() or 1.0)
    return scaled


def _area(positive: np.ndarray, p: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the area under the ROC curve, and what each row adds to it beyond its share: [n_rows]."""
    _, places = np.unique(p, return_inverse=True)
    up = np.bincount(places, weights=positive)
    down = np.bincount(places, weights=~positive)
    below, above = (np.cumsum(down) - down / 2) / down.sum(), (up.sum() - np.cumsum(up) + up / 2) / up.sum()
    area = float((up * below).sum() / up.sum())
    share = positive.mean()
    return area, np.where(positive, (below[places] - area) / share, (above[places] - area) / (1 - share))


def _r2(y: np.ndarray, p: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the share of the variance that is explained, and what each row adds to it beyond its share: [n_rows]."""
    truth = _scaled(y)
    errors, spread = (truth - p) ** 2, (truth - truth.mean()) ** 2
    if spread.mean() == 0:
        return float("nan"), np.zeros(len(y))
    lost = errors.mean() / spread.mean()
    return float(1 - lost), -(errors - lost * spread) / spread.mean()


def _interval(value: float, influence: np.ndarray, confidence: float, least: float) -> Estimate | None:
    """Return a value with its interval by the infinitesimal jackknife; of a ROC AUC that of DeLong et al. 1988."""
    from scipy.stats import norm

    if np.isnan(value):
        return None
    apart = float(norm.ppf((1 + confidence) / 2) * np.sqrt(np.mean(influence**2) / len(influence)))
    return Estimate(value=value, low=max(value - apart, least), high=min(value + apart, 1.0))


def by_chance(codes: np.ndarray, y: np.ndarray, task: Task) -> float:
    """Return the p-value of a column that tells nothing: of classes by the chi-squared test, of numbers by the analysis
    of variance of their ranks (Conover and Iman 1981). It is 1 where one side has one value only."""
    from scipy.stats import chi2_contingency, f, rankdata

    _, codes = np.unique(codes, return_inverse=True)
    groups = int(codes.max(initial=0)) + 1
    if task.kind != "regression":
        _, classes = np.unique(y, return_inverse=True)
        size = int(classes.max(initial=0)) + 1
        table = np.bincount(codes * size + classes, minlength=groups * size).reshape(groups, size)
        return float(chi2_contingency(table).pvalue) if min(groups, size) > 1 else 1.0
    ranks = rankdata(y) - (len(y) + 1) / 2
    between, total = (np.bincount(codes, weights=ranks) ** 2 / np.bincount(codes)).sum(), (ranks**2).sum()
    if groups in (1, len(y)) or total == 0:
        return 1.0
    within = max(total - between, 0.0)
    if within <= 1e-12 * total:
        return 0.0
    return float(f.sf(between / (groups - 1) / within * (len(y) - groups), groups - 1, len(y) - groups))


def order(column: Column, rows: np.ndarray, y: np.ndarray, task: Task) -> float | None:
    """Return Spearman's correlation with the target, of rows with a value; None of texts and of many classes."""
    from scipy.stats import spearmanr

    values = column.values[rows]
    if column.is_text or task.kind == "multiclass":
        return None
    there = ~np.isnan(values)
    if len(np.unique(values[there])) < 2 or len(np.unique(y[there])) < 2:
        return None
    return float(spearmanr(values[there], y[there]).statistic)
