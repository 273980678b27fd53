"""Selection of the features that models are trained on, by what the training rows alone say of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ml.base.seeds import derived_seed
from ml.base.sql import DataError
from ml.declaration.features import Selection
from ml.features.definitions import FeatureDefinitions
from ml.models.family import Training
from ml.models.trees.lightgbm import LightGBM
from ml.search.selected_features import SelectedFeatures
from ml.tasks.encoding import MISSING, Encoder
from ml.tasks.targets import TARGET
from ml.tasks.task import Kind, Task

ROWS = 100_000  # training rows that correlations and gains are taken of, at most
HELD_OUT = 0.2  # of them, to stop the trees before they learn rows by heart and count noise as worth something


def select(
    use_case: str,
    development: pd.DataFrame,
    definitions: FeatureDefinitions,
    options: Selection,
    seed: int,
    kind: Kind = "binary",
    targets: Sequence[str] = (TARGET,),
) -> SelectedFeatures:
    """Select what to train on, of a matrix with `split`, `targets` and every feature, by rows of the split `train`.

    A feature is worth what it is to all targets on average. Raises DataError with the reasons if no feature is left.
    """
    train = development[development["split"] == "train"]
    encoder = Encoder.fit(train, definitions.numeric, definitions.categorical, definitions.texts)
    X = encoder.encode(train)
    dropped, worth = _empty_or_constant(train, encoder, X, options.missing), dict[str, float]()
    if options.correlation is not None or options.keep is not None:
        tasks = [(Task.of(kind, train[target]), train[target]) for target in targets]
        drawn = derived_seed(seed, "selection")
        samples = [_Sample.of(encoder, X, task.labels(target), task, drawn) for task, target in tasks]
        worse, worth = _outdone(samples, [name for name in encoder.columns if name not in dropped], options)
        dropped |= worse
    selected = [feature.name for feature in definitions.features if feature.name not in dropped]
    if not selected:
        raise DataError(_none_left(use_case, dropped))
    worth = {name: worth[name] for name in selected if name in worth}
    return SelectedFeatures(rows=len(train), kept=selected, dropped=dropped, worth=worth)


def _none_left(use_case: str, dropped: dict[str, str]) -> str:
    """Return the message for a selection that leaves nothing."""
    reasons = "; ".join(f"{name}: {reason}" for name, reason in sorted(dropped.items())[:10])
    return (
        f"use case {use_case!r}: features.selection leaves none of {len(dropped)} features. {reasons}. Allow more, or "
        "declare features that have values"
    )


def _empty_or_constant(train: pd.DataFrame, encoder: Encoder, X: np.ndarray, allowed: float) -> dict[str, str]:
    """Return why to drop features that are too often missing, or of one value everywhere, as models see them."""
    reasons, rows = {}, len(train)
    for name, places in encoder.places.items():
        values, column = X[:, places], train[name]
        missing = int(_without_value(encoder, name, values, column).sum())
        if missing == rows:
            reasons[name] = f"none of {rows:,} training rows has a value"
        elif missing > allowed * rows:
            share = f"{missing:,} of {rows:,} training rows ({100 * missing / rows:.4g}%)"
            reasons[name] = f"{share} have no value, allowed: {100 * allowed:.4g}%"
        elif (values == values[0]).all():  # a missing value equals nothing: it says something beside another
            reasons[name] = (
                f"each of {rows:,} training rows has the value {column.iloc[0]!s}"
                if name in {*encoder.numeric, *encoder.categories} or column.nunique() == 1
                else f"no word that a model would know tells some of {rows:,} training rows from others"
            )
    return reasons


def _without_value(encoder: Encoder, name: str, values: np.ndarray, column: pd.Series) -> np.ndarray:
    """Return which rows have no value of a feature, [n_rows] of booleans; `values` is what it is encoded to."""
    without: np.ndarray = values[:, 0] == 1  # a text has no words
    if name in encoder.numeric:
        without = np.isnan(values[:, 0])
    elif name in encoder.categories:
        without = (column.isna() | column.isin([MISSING])).to_numpy()
    return without


@dataclass(frozen=True)
class _Sample:
    """Encoded training rows, and which of them trees learn from and which stop them."""

    encoder: Encoder
    X: np.ndarray
    y: np.ndarray
    learnt: np.ndarray
    held_out: np.ndarray
    task: Task
    seed: int

    @classmethod
    def of(cls, encoder: Encoder, X: np.ndarray, y: np.ndarray, task: Task, seed: int) -> _Sample:
        """Draw at most `ROWS` of the rows, with the same shares of classes in both parts unless one is too rare.

        A class of which no row is drawn to learn from is left out.
        """
        from sklearn.model_selection import train_test_split

        rows = min(len(y), ROWS)
        held_out = max(2, int(HELD_OUT * rows))
        alike = task.kind != "regression" and _frequent(y, held_out)
        parts = train_test_split(
            np.arange(len(y)),
            train_size=rows - held_out,
            test_size=held_out,
            stratify=y if alike else None,
            random_state=seed,
        )
        learnt, tested = np.sort(parts[0]), np.sort(parts[1])
        if task.kind == "multiclass":
            codes = np.unique(y[learnt])
            tested = tested[np.isin(y[tested], codes)]
            y, task = np.searchsorted(codes, y), Task("multiclass", tuple(task.classes[code] for code in codes))
        return cls(encoder, X, y, learnt, tested, task, seed)

    def worth(self, names: Sequence[str]) -> dict[str, float]:
        """Return each feature's share of all gain of boosted trees that may use these features only."""
        encoder = self.encoder.only(names)
        X, y = self.X[:, self._places(encoder.columns)], self.y
        data = Training(X[self.learnt], y[self.learnt], X[self.held_out], y[self.held_out], encoder, self.task)
        # Of features that say the same, all trees then see the best one, and its worth is not divided.
        whole = {"feature_fraction": 1.0, "learning_rate": 0.1, "min_data_in_leaf": min(100, 1 + len(data.y) // 20)}
        gain = LightGBM().fit(data, {**LightGBM().defaults(), **whole}, seed=self.seed).gain()
        shares = gain / (gain.sum() or 1)
        return {name: float(shares[places].sum()) for name, places in encoder.places.items()}

    def correlations(self, names: Sequence[str]) -> np.ndarray:
        """Return Spearman's correlation of numeric features, unsigned [n, n]; a missing value has the middle rank."""
        from threadpoolctl import threadpool_limits

        rows = np.sort(np.concatenate([self.learnt, self.held_out]))
        ranks = pd.DataFrame(self.X[rows][:, self._places(names)]).rank()
        with threadpool_limits(1), np.errstate(invalid="ignore", divide="ignore"):
            correlation = np.corrcoef(ranks.fillna(ranks.mean()).fillna(0).to_numpy(), rowvar=False)
        return np.atleast_2d(np.abs(np.nan_to_num(correlation)))

    def _places(self, names: Sequence[str]) -> list[int]:
        """Return the positions of what features become among the encoded columns."""
        places = self.encoder.places
        return [place for name in names for place in range(*places[name].indices(self.X.shape[1]))]


def _frequent(y: np.ndarray, held_out: int) -> bool:
    """Return True if each class can have a row in both parts."""
    counts = np.unique(y, return_counts=True)[1]
    return bool(counts.min() > 1 and len(counts) <= held_out)


def _worth(samples: Sequence[_Sample], names: Sequence[str]) -> dict[str, float]:
    """Return the worth of features, the mean of what they are worth to each target."""
    shares = [sample.worth(names) for sample in samples]
    return {name: sum(share[name] for share in shares) / len(shares) for name in shares[0]}


def _outdone(
    samples: Sequence[_Sample], names: list[str], options: Selection
) -> tuple[dict[str, str], dict[str, float]]:
    """Return why to drop features that repeat better ones, or that others outdo; and the worth of each of `names`."""
    dropped: dict[str, str] = {}
    if not names:
        return dropped, {}
    worth = _worth(samples, names)
    if options.correlation is not None:
        dropped = _repeating(samples[0], worth, options.correlation)
    left = [name for name in names if name not in dropped]
    if options.keep is not None and len(left) > options.keep:
        if dropped:  # what a dropped feature was worth goes to the one that it repeated
            worth = _worth(samples, left)
        for place, name in enumerate(_by_worth(worth)[options.keep :], start=options.keep + 1):
            share = f"{100 * worth[name]:.2g}% of the gain"
            dropped[name] = f"number {place} of {len(left)} by worth ({share}), kept: {options.keep}"
    return dropped, worth


def _repeating(sample: _Sample, worth: dict[str, float], allowed: float) -> dict[str, str]:
    """Return why to drop numeric features that correlate with one worth no less; no two that are left do."""
    reasons: dict[str, str] = {}
    left: list[int] = []
    names = [name for name in _by_worth(worth) if name in sample.encoder.numeric]
    correlation = sample.correlations(names) if names else np.empty((0, 0))
    for place, name in enumerate(names):
        nearest = max(left, key=lambda other: float(correlation[place, other]), default=None)
        if nearest is None or correlation[place, nearest] <= allowed:
            left.append(place)
        else:
            repeated = f"correlates by {correlation[place, nearest]:.4f} with {names[nearest]}"
            reasons[name] = f"{repeated}, which is worth no less; allowed: {allowed:g}"
    return reasons


def _by_worth(worth: dict[str, float]) -> list[str]:
    """Sort the names, those worth most first; equals by name."""
    return sorted(worth, key=lambda name: (-worth[name], name))
