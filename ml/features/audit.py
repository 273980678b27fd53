"""The audit of the feature matrix: single features that alone predict the target nearly perfectly."""

from collections.abc import Collection, Iterator

import numpy as np
import pandas as pd

from ml.declaration.use_case import UseCaseSpec
from ml.features.definitions import FeatureDefinitions
from ml.features.identities import TOGETHER
from ml.features.leaks import NO_LEAK
from ml.tables.findings import Finding, of_each
from ml.tasks.metrics import Metric
from ml.tasks.targets import with_alone
from ml.tasks.task import Task

ALONE = "no_feature_alone_predicts_the_target"
ROWS = 20_000  # training rows that are looked at: the standard error of a ROC AUC of 0.99 is then below 0.001
LEAVES = 64  # of the tree that reads a feature; a straight line is then explained to R² 0.9998
LEAF = 5  # rows of a leaf at least, or a few hundred rows are learned by heart


def feature_checks(spec: UseCaseSpec, splits: Collection[str]) -> list[str]:
    """Return the names of the checks of a feature matrix; those that have nothing to look at are left out."""
    alone = [ALONE] if spec.audit.alone_at_most is not None else []
    return [*([NO_LEAK] if spec.examples.timed else []), *([*alone, TOGETHER] if "train" in splits else [])]


def no_feature_alone(spec: UseCaseSpec, definitions: FeatureDefinitions, train: pd.DataFrame) -> Finding:
    """Find the features that alone predict the target, or one of several, from training rows with their targets."""
    if spec.examples.targets:
        return of_each({name: _alone(spec, definitions, with_alone(train, name)) for name in spec.examples.targets})
    return _alone(spec, definitions, train)


def _alone(spec: UseCaseSpec, definitions: FeatureDefinitions, train: pd.DataFrame) -> Finding:
    task, at_most = Task.of(spec.task, train["target"]), spec.audit.alone_at_most or 1.0
    rows = train.sample(min(len(train), ROWS), random_state=spec.seed)
    metric = "r2" if task.kind == "regression" else "roc_auc"
    scored = lone_scores(rows, definitions, task, spec.keys, spec.seed)
    scores = dict(sorted(scored, key=lambda pair: (-pair[1], pair[0])))
    best = next((f"the best is {name} with {score:.4f}" for name, score in scores.items()), "none could be judged")
    return Finding(
        ALONE,
        f"none of {len(definitions.features)} features alone reaches more than {metric} {at_most:g} on {len(rows):,} "
        f"training rows, each half of them predicted from the other; {best}",
        tuple(
            f"{name} alone reaches {metric} {score:.4f} on {len(rows):,} training rows, allowed: {at_most:g}"
            for name, score in scores.items()
            if score > at_most
        ),
        "if it tells what is yet to happen, say in known_at when its columns become known, or leave it out with "
        "ignore; else allow more in audit.alone_at_most",
        tuple(
            {"feature": name, metric: f"{score:.4f}", "rows": f"{int(rows[name].notna().sum()):,}"}
            for name, score in scores.items()
        ),
    )


def lone_scores(
    rows: pd.DataFrame, definitions: FeatureDefinitions, task: Task, keys: list[str], seed: int
) -> Iterator[tuple[str, float]]:
    """Yield each feature and what it alone reaches: ROC AUC (of many classes, the mean one against the rest) or R².

    The rows of one half of the keys are predicted from those of the other, and the other way round: of a number by a
    decision tree on its ranks, a missing value being one of its own; of a category by what rows of the same category
    have. The order of a number's values, upwards or downwards, counts where it tells more: of two classes as a ROC AUC,
    of numbers as R² of the ranks (the square of Spearman's correlation). A feature with one value only has no score,
    nor has any where the metric is undefined, as for one class alone.
    """
    halves = _halves(rows[keys], seed)
    y, truth = task.labels(rows["target"]), _outputs(task, rows["target"])
    metric = Metric.named("r2" if task.kind == "regression" else "roc_auc")
    for feature in definitions.features:
        codes, numeric = _codes(rows[feature.name]), feature.type == "numeric"
        if len(np.unique(codes)) == 1:
            continue
        predicted = _held_out(codes, truth, halves, numeric)
        score = float(metric(y, predicted if task.kind == "multiclass" else predicted[:, 0]))
        if numeric and task.kind != "multiclass":
            score = max(score, _by_order(codes, y, task))
        if np.isfinite(score):
            yield feature.name, score


def _held_out(codes: np.ndarray, truth: np.ndarray, halves: np.ndarray, numeric: bool) -> np.ndarray:
    """Return predictions [n_rows, n_outputs] of each half by the other."""
    predicted = np.empty(truth.shape)
    predict = _by_tree if numeric else _by_category
    for half in (halves, ~halves):
        predicted[half] = predict(codes[~half], truth[~half], codes[half])
    return predicted


def _halves(keys: pd.DataFrame, seed: int) -> np.ndarray:
    """Divide the rows into two halves, [n_rows] of booleans: those of one key are in the same."""
    one = keys.iloc[:, 0] if keys.shape[1] == 1 else pd.MultiIndex.from_frame(keys)
    codes, distinct = pd.factorize(one, sort=True)
    drawn: np.ndarray = np.random.default_rng(seed).permutation(len(distinct)) % 2 == 0
    return drawn[codes]


def _outputs(task: Task, target: pd.Series) -> np.ndarray:
    """Return the outputs to predict, [n_rows, n_outputs]: the number, 0 or 1, or 0 and 1 for each class."""
    labels = task.labels(target)
    if task.kind != "multiclass":
        return labels.astype("float64").reshape(-1, 1)
    classes: np.ndarray = np.eye(len(task.classes))[labels]
    return classes


def _codes(values: pd.Series) -> np.ndarray:
    """Return values as numbers in their order from 1 on, [n_rows]; 0 is a missing one."""
    codes, _ = pd.factorize(values, sort=values.dtype.kind in "fiub")
    return np.asarray(codes) + 1


def _by_order(codes: np.ndarray, y: np.ndarray, task: Task) -> float:
    """Return the score of the order of the values alone, in the better direction; NaN where it is undefined."""
    from scipy.stats import spearmanr

    if task.kind == "regression":
        return float(spearmanr(codes, y).statistic ** 2)
    upwards = float(Metric.named("roc_auc")(y, codes.astype("float64")))
    return max(upwards, 1 - upwards)


def _by_tree(train: np.ndarray, truth: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Predict `codes` [n_codes, n_outputs] by a tree of LEAVES leaves, each of LEAF rows or more."""
    from sklearn.tree import DecisionTreeRegressor

    leaves = max(LEAVES, 2 * truth.shape[1])
    tree = DecisionTreeRegressor(max_leaf_nodes=leaves, min_samples_leaf=LEAF, random_state=0)
    predicted: np.ndarray = tree.fit(train.reshape(-1, 1), truth).predict(codes.reshape(-1, 1))
    return predicted.reshape(len(codes), -1)


def _by_category(train: np.ndarray, truth: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Predict `codes` [n_codes, n_outputs] by the mean of the category, or of all where it was not there."""
    size = max(int(train.max(initial=0)), int(codes.max(initial=0))) + 1
    rows = np.bincount(train, minlength=size)
    sums = np.stack([np.bincount(train, weights=column, minlength=size) for column in truth.T], axis=1)
    means = np.where(rows[:, None] > 0, sums / np.maximum(rows, 1)[:, None], truth.mean(axis=0))
    predicted: np.ndarray = means[codes]
    return predicted
