"""The audit of the examples: what two splits share, their order in time, and how far their targets lie apart."""

from collections.abc import Iterator, Mapping
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from ml.declaration.part import duration
from ml.declaration.use_case import UseCaseSpec
from ml.examples.build import SPLITS
from ml.examples.groups import groups_of
from ml.tables.findings import Finding, worst_first

ERROR_RATE = 0.01  # how often splits of the same distribution may seem different, in all comparisons together
EXACT = 1000  # rows up to which the p-value of Kolmogorov and Smirnov is exact, which takes the square of them
SHOWN = 40  # characters of a value


def audit_examples(spec: UseCaseSpec, tables: Mapping[str, pa.Table], examples: pa.Table) -> list[Finding]:
    """The examples against what splits must be: a finding for each of their checks, in their order."""
    frame, groups = examples.to_pandas(), groups_of(spec, tables, examples)
    key = spec.key
    found = [shared_rows(frame, key)]
    if groups is not None:
        found.append(shared_groups(frame.assign(group=groups.to_pandas()), spec.examples.split.group or key))
    if spec.examples.split.by_time:
        found.append(order_of_splits(frame, spec.examples.split.embargo))
    if spec.audit.target_apart_at_most is not None:
        found.append(targets_apart(frame, spec.task == "regression", spec.audit.target_apart_at_most))
    return found


def example_checks(spec: UseCaseSpec) -> list[str]:
    """The names of the checks of the examples; those that have nothing to look at are left out."""
    split = spec.examples.split
    return [
        "no_row_in_two_splits",
        *(["no_group_in_two_splits"] if spec.grouped else []),
        *(["splits_in_order_of_time"] if split.by_time else []),
        *(["target_alike_in_splits"] if spec.audit.target_apart_at_most is not None else []),
    ]


def shared_rows(examples: pd.DataFrame, key: str) -> Finding:
    """Rows with the same key and cutoff in two splits."""
    faults, table = _shared(examples, [key, "cutoff"], f"rows with the same {key} and cutoff")
    return Finding(
        "no_row_in_two_splits",
        f"no {key} and cutoff of {len(examples):,} rows is in two splits",
        faults,
        "let the table or the query have each row once",
        table,
    )


def shared_groups(examples: pd.DataFrame, name: str) -> Finding:
    """Values of the column `group`, which the declaration calls `name`, that have rows in two splits."""
    known = examples.dropna(subset=["group"])
    faults, table = _shared(known, ["group"], f"values of {name}")
    return Finding(
        "no_group_in_two_splits",
        f"none of {known['group'].nunique():,} values of {name} is in two splits",
        faults,
        "split at random, which keeps a group together, or leave the rows of all but one split out with examples.where",
        table,
    )


def _shared(
    examples: pd.DataFrame, columns: list[str], what: str
) -> tuple[tuple[str, ...], tuple[dict[str, Any], ...]]:
    """What two splits have in common, a sentence for each pair of them that has anything."""
    rows = {name: examples.loc[examples["split"] == name, columns] for name in SPLITS}
    faults, table = [], []
    for one, other in combinations(SPLITS, 2):
        common = rows[one].drop_duplicates().merge(rows[other].drop_duplicates(), on=columns)
        counts = [len(rows[each].merge(common, on=columns)) for each in (one, other)]
        table.append({"splits": f"{one}, {other}", "shared": len(common), "rows": f"{counts[0]:,}, {counts[1]:,}"})
        if len(common):
            first = str(common[columns[0]].min())[:SHOWN]
            said = f"{len(common):,} {what} are in {one} ({counts[0]:,} rows) and {other} ({counts[1]:,} rows)"
            faults.append((len(common), f"{said}, first {first}"))
    return worst_first(faults), tuple(table)


def order_of_splits(examples: pd.DataFrame, embargo: str | None) -> Finding:
    """Rows that are asked at or after the first row of a later split, or less than the embargo before it."""
    gap = duration(embargo) if embargo else pd.Timedelta(0)
    cutoffs = {name: examples.loc[examples["split"] == name, "cutoff"] for name in SPLITS}
    faults = []
    for one, later in pairwise(SPLITS):
        first = cutoffs[later].min()
        late = int((cutoffs[one] + gap >= first).sum())
        if late:
            within = f" or within {embargo} before it" if embargo else ""
            said = f"{late:,} of {len(cutoffs[one]):,} rows of {one} are asked at or after {first}{within}"
            faults.append((late, f"{said}, when {later} begins"))
    return Finding(
        "splits_in_order_of_time",
        "all of train is asked before validation, and all of validation before test"
        + (f", each at least {embargo} earlier" if embargo else ""),
        worst_first(faults),
        "correct examples.split",
        tuple(
            {"split": name, "rows": len(each), "first": str(each.min()), "last": str(each.max())}
            for name, each in cutoffs.items()
        ),
    )


def targets_apart(examples: pd.DataFrame, numbers: bool, at_most: float) -> Finding:
    """Shares of the target that differ between train and another split by more than chance, and by too much.

    Of classes it is the share of each, of numbers that of those up to the value at which the shares differ most. Both
    must be: the p-value, times the number of comparisons (Bonferroni), at most ERROR_RATE, and the effect size above
    `at_most`: Cohen's h = |2 asin √p - 2 asin √q| (Cohen 1988, Statistical Power Analysis, chapter 6; 0.8 is large).
    The p-values are those of the chi-squared test with Yates's correction, and of Kolmogorov and Smirnov.
    """
    train = examples.loc[examples["split"] == "train", "target"].to_numpy()
    compared = [
        {"split": name, **each}
        for name in SPLITS[1:]
        for each in (_numbers if numbers else _classes)(
            train, examples.loc[examples["split"] == name, "target"].to_numpy()
        )
    ]
    wild = [each for each in compared if each["h"] > at_most and each["p"] * len(compared) <= ERROR_RATE]
    order = sorted(compared, key=lambda each: (each not in wild, -each["h"]))
    greatest = max((each["h"] for each in compared), default=0.0)
    return Finding(
        "target_alike_in_splits",
        f"no share of the target differs from that of train by more than Cohen's h {at_most:g}, beyond chance; at most "
        f"it is {greatest:.2f}",
        worst_first((each["h"], _apart(each, numbers)) for each in wild),
        "correct examples.split or examples.target, or allow more in audit.target_apart_at_most",
        tuple({**each, **{name: f"{each[name]:.4g}" for name in ("train", "share", "h", "p")}} for each in order),
    )


def _apart(each: Mapping[str, Any], numbers: bool) -> str:
    what = f"targets up to {each['target']:.6g}" if numbers else f"target {each['target']}"
    return (
        f"{each['train']:.1%} of {each['train rows']:,} train rows and {each['share']:.1%} of {each['rows']:,} "
        f"{each['split']} rows have {what} (Cohen's h {each['h']:.2f})"
    )


def _classes(train: np.ndarray, other: np.ndarray) -> Iterator[dict[str, Any]]:
    """The share of each class; of two classes that of the greater one says it all."""
    from scipy.stats import chi2_contingency

    classes = np.unique(np.concatenate([train, other]))
    for name in classes[1:] if len(classes) == 2 else classes:
        counts = [int((train == name).sum()), int((other == name).sum())]
        rest = [len(train) - counts[0], len(other) - counts[1]]
        p = float(chi2_contingency([counts, rest]).pvalue) if any(rest) else 1.0
        yield _compared(name, counts[0] / len(train), counts[1] / len(other), p, train, other)


def _numbers(train: np.ndarray, other: np.ndarray) -> Iterator[dict[str, Any]]:
    """The share of the numbers up to the one at which the distribution functions lie farthest apart."""
    from scipy.stats import ks_2samp

    few = max(len(train), len(other)) <= EXACT
    found = ks_2samp(train, other, method="exact" if few else "asymp")
    at = float(found.statistic_location)
    yield _compared(at, float((train <= at).mean()), float((other <= at).mean()), float(found.pvalue), train, other)


def _compared(
    target: Any, share: float, other_share: float, p: float, train: np.ndarray, other: np.ndarray
) -> dict[str, Any]:
    """One comparison with train, as a row of the table."""
    h = abs(2 * np.arcsin(np.sqrt(share)) - 2 * np.arcsin(np.sqrt(other_share)))
    return {
        "target": target.item() if isinstance(target, np.generic) else target,
        "train": share,
        "share": other_share,
        "h": float(h),
        "p": p,
        "train rows": len(train),
        "rows": len(other),
    }
