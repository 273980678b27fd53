"""The making of a profile: from examples, their split and target, and the columns that are known at the cutoff."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ml.base.keys import joined
from ml.base.seeds import derived_seed
from ml.declaration.use_case import UseCaseSpec
from ml.examples.build import SPLITS
from ml.intervals.bootstrap import Estimate
from ml.profile.association import Associations, in_blocks
from ml.profile.columns import WORDS, Column, columns_of
from ml.profile.coverage import coverage
from ml.profile.distribution import bars, quantiles
from ml.profile.drift import drift, unseen
from ml.profile.findings import findings
from ml.profile.record import ColumnProfile, Drift, Profile
from ml.profile.relation import alone, bins, by_chance, folds, order
from ml.tasks.sampling import sampled_rows
from ml.tasks.targets import TARGET
from ml.tasks.task import Task

ROWS = 20_000  # of a split at most, for relations, associations and distances
CONFIDENCE = 0.95
HEATMAP = 20  # columns
TEXTS = 40  # columns of texts that are compared with all others, those that tell most of the target
CLOSE = 0.7  # an association that is worth a line
PAIRS = 50


@dataclass(frozen=True)
class _Rows:
    """The examples: all rows of each split, and a sample of each, as positions; the training sample's labels and folds.

    `labels` are those of each of several targets, by name; of one target the name is empty.
    """

    task: Task
    splits: Mapping[str, np.ndarray]
    sample: Mapping[str, np.ndarray]
    target: np.ndarray | None  # of each row, as a number; None for many classes, and for several targets
    labels: Mapping[str, np.ndarray]
    folds: list[tuple[np.ndarray, np.ndarray]]


def make_profile(spec: UseCaseSpec, tables: Mapping[str, pa.Table], examples: pa.Table) -> Profile:
    """Make the profile of the examples and of the columns that are known at their cutoff.

    The target of a test row is in the figure of its whole split alone: relations are of training rows, the mean target
    in time is of training and validation rows, and splits are compared by columns. No order of rows or columns changes
    anything. Of several targets a column tells of the one that it tells most of.
    """
    examples = examples.sort_by([(key, "ascending") for key in (*spec.keys, "cutoff")])
    targets = examples.select(spec.examples.target_columns).to_pandas()
    rows = _rows(spec, examples, targets)
    profiled, compared, named = list[ColumnProfile](), list[Column](), dict[str, list[str]]()
    for column in columns_of(spec, tables, examples):
        profiled.append(_column(column, rows))
        compared.append(_sampled(column, rows))
        named.setdefault(column.identity(), []).append(column.name)
    copies = {name: min(names) for names in named.values() for name in names if name != min(names)}
    place = sorted(range(len(profiled)), key=lambda at: _first_the_telling(profiled[at], rows.task))
    sampled = len(rows.sample["train"])
    texts = [at for at in place if compared[at].is_text][:TEXTS]
    associated = [compared[at] for at in place if not compared[at].is_text or at in texts]
    associations = Associations(associated, np.arange(sampled))
    several = np.flatnonzero(np.isfinite(associations.matrix.diagonal()))[:HEATMAP]
    shown = [several[at] for at in in_blocks(associations.matrix[np.ix_(several, several)])]
    profile = Profile(
        task=spec.task,
        rows={name: len(chosen) for name, chosen in rows.splits.items()},
        targets=rows.task.targets,
        target={name: rows.task.summary_of(targets.iloc[chosen]) for name, chosen in rows.splits.items()},
        measure="r2" if spec.task == "regression" else "roc_auc",
        confidence=CONFIDENCE,
        sampled={name: len(chosen) for name, chosen in rows.sample.items()},
        coverage=coverage(examples["cutoff"].to_numpy(), rows.splits, rows.target),
        columns=tuple(profiled[at].model_copy(update={"same_as": copies.get(profiled[at].name)}) for at in place),
        heatmap=tuple(associated[at].name for at in shown),
        associations=tuple(map(tuple, associations.matrix[np.ix_(shown, shown)].tolist())),
        pairs=tuple(associations.pairs(CLOSE)[:PAIRS]),
        associated=len(associated),
        findings=(),
    )
    return profile.model_copy(update={"findings": findings(profile)})


def _first_the_telling(column: ColumnProfile, task: Task) -> tuple[float, str]:
    """Return what sorts a column: what it tells of the target, and its name."""
    return -_told(column.alone, task), column.name


def _told(alone: Estimate | None, task: Task) -> float:
    chance = 0.0 if task.kind == "regression" else 0.5
    return alone.value if alone else chance


def _rows(spec: UseCaseSpec, examples: pa.Table, targets: pd.DataFrame) -> _Rows:
    splits = {name: np.flatnonzero(pc.equal(examples["split"], name).to_numpy()) for name in SPLITS}
    train = targets.iloc[splits["train"]]
    task = spec.task_of(train)
    y = task.labels_of(train)
    seed = derived_seed(spec.seed, "profile")
    chosen = sampled_rows(y, task, max(ROWS, len(task.classes), len(task.targets) + 1), seed)
    sample = {name: np.sort(np.random.default_rng(seed).permutation(rows)[:ROWS]) for name, rows in splits.items()}
    sample["train"] = splits["train"][chosen]
    keys, _ = pd.factorize(joined(examples.select(spec.keys).take(pa.array(sample["train"])).columns).to_pandas())
    target = None if task.answer_shape else targets[TARGET].to_numpy(dtype="float64")
    labels = dict(zip(task.targets, y[chosen].T, strict=True)) if task.targets else {"": y[chosen]}
    return _Rows(task, splits, sample, target, labels, folds(keys, seed))


def _column(column: Column, rows: _Rows) -> ColumnProfile:
    others = {name: _drift(column, rows, name) for name in rows.splits if name != "train"}
    return ColumnProfile(
        name=column.name,
        table=column.table,
        kind=column.kind,
        type=column.type,
        missing={name: float(column.missing[chosen].mean()) for name, chosen in rows.splits.items()},
        distinct=column.distinct,
        infinite=0 if column.is_text else int(np.isinf(column.values).sum()),
        quantiles=quantiles(column),
        bars=bars(column, rows.splits, rows.target),
        drift={name: apart for name, apart in others.items() if apart is not None},
        **_relation(column, rows),
    )


def _relation(column: Column, rows: _Rows) -> dict[str, Any]:
    """Return what a column alone tells of the target, or of several of the one that it tells most of.

    What chance gives is then corrected for the number of targets (Bonferroni).
    """
    if column.type == WORDS:  # which text it is says nothing of others
        return {}
    train, task = rows.sample["train"], rows.task.alone
    codes = bins(column, train)
    told = {name: alone(codes, y, task, rows.folds, CONFIDENCE) for name, y in rows.labels.items()}
    most = max(told, key=lambda name: _told(told[name], task))
    chances = [by_chance(codes, y, task) for y in rows.labels.values()]
    return {
        "alone": told[most],
        "target": most,
        "by_chance": min(1.0, len(chances) * min(chances)),
        "order": order(column, train, rows.labels[most], task),
    }


def _drift(column: Column, rows: _Rows, split: str) -> Drift | None:
    apart = drift(column, rows.sample["train"], rows.sample[split])
    if apart is None:
        return None
    return apart.model_copy(update={"unseen": unseen(column, rows.splits["train"], rows.splits[split])})


def _sampled(column: Column, rows: _Rows) -> Column:
    """Return the training sample of a column: all of them, of all rows, would be too much to hold."""
    chosen = rows.sample["train"]
    return replace(column, values=column.values[chosen], whole=None if column.whole is None else column.whole[chosen])
