"""The audit of the examples: rows that two splits share, their order in time, and the distance of their targets."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ml.base.keys import places
from ml.declaration.part import duration
from ml.declaration.use_case import UseCaseSpec
from ml.examples.alike import alike, compared_columns, may_be_alike
from ml.examples.build import SPLITS
from ml.examples.groups import groups_of
from ml.examples.known import has_past, target_known_from, target_times, unused_past
from ml.tables.findings import Finding, worst_first
from ml.tasks.targets import TARGET, target_name

EQUAL = "equal_rows_in_one_split"
PAST = "past_of_the_target_is_used"
KNOWN = "target_unknown_at_cutoff"
LARGE = "splits_are_large_enough"
WARNS = (EQUAL, PAST)  # these never stop a run
ERROR_RATE = 0.01  # how often splits of the same distribution may seem different, in all comparisons together
EXACT = 1000  # rows up to which the p-value of Kolmogorov and Smirnov is exact, which takes the square of them
FEW_ROWS = 20  # that a split needs
FEW_OF_CLASS = 2  # rows of the rarest class that it needs
FEW_GROUPS = 2  # that it needs where groups are kept whole
SHOWN = 40  # characters of a value


def audit_examples(spec: UseCaseSpec, tables: Mapping[str, pa.Table], examples: pa.Table) -> list[Finding]:
    """Check the examples against what splits must be: a finding for each of the checks, in their order."""
    frame, groups = examples.to_pandas(), groups_of(spec, tables, examples)
    split, findings = spec.examples.split, [shared_rows(frame, spec.keys)]
    if groups is not None:
        findings.append(shared_groups(frame.assign(group=groups.to_pandas()), split.group or " and ".join(spec.keys)))
    targets = spec.examples.target_columns if spec.task != "regression" else []
    findings.append(large_enough(frame, None if groups is None else groups.to_pandas(), targets))
    if may_be_alike(spec):
        numbers, columns = alike(spec, tables, examples), len(compared_columns(spec, tables))
        findings.append(equal_rows(frame, numbers, columns, split.together(len(frame))))
    if split.in_order_of_time:
        findings.append(order_of_splits(frame, split.lead))
    if has_past(spec):
        findings.append(past_of_the_target(spec))
    if has_past(spec) and target_known_from(spec) is not None:
        findings.append(target_unknown(spec, tables, examples))
    if spec.audit.target_apart_at_most is not None:
        at_most, names = spec.audit.target_apart_at_most, spec.examples.target_columns
        findings.append(targets_apart(frame, spec.task == "regression", at_most, names))
    return findings


def example_checks(spec: UseCaseSpec) -> list[str]:
    """Return the names of the checks of the examples; those that have nothing to look at are left out."""
    split = spec.examples.split
    return [
        "no_row_in_two_splits",
        *(["no_group_in_two_splits"] if spec.grouped else []),
        LARGE,
        *([EQUAL] if may_be_alike(spec) else []),
        *(["splits_in_order_of_time"] if split.in_order_of_time else []),
        *([PAST] if has_past(spec) else []),
        *([KNOWN] if has_past(spec) and target_known_from(spec) is not None else []),
        *(["target_alike_in_splits"] if spec.audit.target_apart_at_most is not None else []),
    ]


def shared_rows(examples: pd.DataFrame, keys: list[str]) -> Finding:
    """Find rows with the same key and cutoff in two splits."""
    key = ", ".join(keys)
    faults, table = _shared(examples, [*keys, "cutoff"], f"rows with the same {key} and cutoff")
    return Finding(
        "no_row_in_two_splits",
        f"no {key} and cutoff of {len(examples):,} rows is in two splits",
        faults,
        "let the table or the query have each row once",
        table,
    )


def shared_groups(examples: pd.DataFrame, name: str) -> Finding:
    """Find values of the column `group`, which the declaration calls `name`, that have rows in two splits."""
    grouped = examples.dropna(subset=["group"])
    faults, table = _shared(grouped, ["group"], f"values of {name}")
    return Finding(
        "no_group_in_two_splits",
        f"none of {grouped['group'].nunique():,} values of {name} is in two splits",
        faults,
        "split at random, which keeps a group together, or leave the rows of all but one split out with examples.where",
        table,
    )


def large_enough(examples: pd.DataFrame, groups: pd.Series | None, classes: Sequence[str]) -> Finding:
    """Find splits whose figures say little: of fewer than `FEW_ROWS` rows or two groups, or with a class hardly there.

    `groups` [n_rows] are those that the split keeps whole; `classes` are the columns of targets that are one.
    """
    faults, table = [], []
    for name in SPLITS:
        rows = examples[examples["split"] == name]
        rarest = min(int(rows[target].value_counts().min()) for target in classes) if classes and len(rows) else None
        count = None if groups is None else int(groups[rows.index].nunique())
        row = {
            "split": name,
            "rows": f"{len(rows):,}",
            "rows of the rarest class": "" if rarest is None else f"{rarest:,}",
        }
        table.append(row | ({} if count is None else {"groups": f"{count:,}"}))
        if len(rows) < FEW_ROWS:
            faults.append((FEW_ROWS - len(rows), f"{name} has {len(rows)} rows, needed: {FEW_ROWS}"))
        if rarest is not None and rarest < FEW_OF_CLASS:
            faults.append((0, f"a class has {rarest} row in {name}, needed: {FEW_OF_CLASS}"))
        if count is not None and count < FEW_GROUPS:
            faults.append(
                (0, f"{name} has the rows of {count} group, needed: {FEW_GROUPS}: its figures are those of it")
            )
    return Finding(
        LARGE,
        "each split has rows enough for its figures to mean something",
        worst_first(faults),
        f"correct examples.split or bring more rows; else say audit.warn: [{LARGE}]",
        tuple(table),
    )


def equal_rows(examples: pd.DataFrame, alike: np.ndarray | None, columns: int, most: int) -> Finding:
    """Count equal rows, which have the same number in `alike`, and find sets of up to `most` that are in two splits.

    What more rows have in common is no copy: the columns have few values. With `most` 0 nothing is found.
    """
    if alike is None:
        return Finding(EQUAL, "features are made of no column of the row but its key, so that no two rows are equal")
    sizes = np.bincount(alike)
    frame = examples.assign(alike=alike)
    of_copies, of_any = (frame[chosen[alike]] for chosen in ((sizes > 1) & (sizes <= most), sizes > 1))
    count, equal = of_any["alike"].nunique(), f"equal in all of {columns} columns that features are made of"
    sets = [f"{count:,} sets of {len(of_any):,} rows are {equal}" if count else f"no two rows are {equal}"]
    if most and count:
        common = count - of_copies["alike"].nunique()
        sets += [f"{common:,} of more than {most:,} rows each are divided, for that is no copy"] if common else []
        sets += [f"none of {'the others' if common else 'these'} is in two splits"]
    return Finding(
        EQUAL,
        "; ".join(sets),
        _shared(of_copies, ["alike"], "sets of equal rows", named=False)[0],
        "a model may know their answers by heart: let examples.split.group be a column that they share, or leave "
        "copies out with examples.where",
        _shared(of_any, ["alike"], "sets of equal rows", named=False)[1],
    )


def _shared(
    examples: pd.DataFrame, columns: list[str], what: str, named: bool = True
) -> tuple[tuple[str, ...], tuple[dict[str, Any], ...]]:
    """Return what two splits have in common, a sentence for each pair of them that has anything, and the figures."""
    rows = {name: examples.loc[examples["split"] == name, columns] for name in SPLITS}
    faults, table = [], []
    for one, other in combinations(SPLITS, 2):
        common = rows[one].drop_duplicates().merge(rows[other].drop_duplicates(), on=columns)
        counts = [len(rows[name].merge(common, on=columns)) for name in (one, other)]
        table.append({"splits": f"{one}, {other}", "shared": len(common), "rows": f"{counts[0]:,}, {counts[1]:,}"})
        if len(common):
            first = f", first {str(common[columns[0]].min())[:SHOWN]}" if named else ""
            fault = f"{len(common):,} {what} are in {one} ({counts[0]:,} rows) and {other} ({counts[1]:,} rows)"
            faults.append((len(common), fault + first))
    return worst_first(faults), tuple(table)


def order_of_splits(examples: pd.DataFrame, embargo: str | None) -> Finding:
    """Find rows that are asked at or after the first row of a later split, or less than the embargo before it."""
    gap = duration(embargo) if embargo else pd.Timedelta(0)
    cutoffs = {name: examples.loc[examples["split"] == name, "cutoff"] for name in SPLITS}
    faults = []
    for one, later in pairwise(SPLITS):
        first = cutoffs[later].min()
        late = int((cutoffs[one] + gap >= first).sum())
        if late:
            within = f" or within {embargo} before it" if embargo else ""
            fault = f"{late:,} of {len(cutoffs[one]):,} rows of {one} are asked at or after {first}{within}"
            faults.append((late, f"{fault}, when {later} begins"))
    return Finding(
        "splits_in_order_of_time",
        "all of train is asked before validation, and all of validation before test"
        + (f", each at least {embargo} earlier" if embargo else ""),
        worst_first(faults),
        "correct examples.split",
        tuple(
            {"split": name, "rows": len(times), "first": str(times.min()), "last": str(times.max())}
            for name, times in cutoffs.items()
        ),
    )


def past_of_the_target(spec: UseCaseSpec) -> Finding:
    """Find that no history uses the target of earlier rows, because nothing says when it is known."""
    advice = unused_past(spec)
    used = f"the target of earlier rows is in a history from {target_known_from(spec)!r} on"
    return Finding(PAST, used, (advice,) if advice else ())


def target_unknown(spec: UseCaseSpec, tables: Mapping[str, pa.Table], examples: pa.Table) -> Finding:
    """Find rows whose target is known when it is asked for: it would be in the history of its own row."""
    times, table = target_times(spec) or [str(target_known_from(spec))], tables[spec.examples.table]
    rows = table.select(times).take(places(examples.select(spec.keys).columns, table.select(spec.keys).columns))
    is_before = pc.less_equal if spec.features.at_cutoff == "included" else pc.less
    early = {
        time: pc.sum(is_before(rows[time].cast(examples["cutoff"].type), examples["cutoff"])).as_py() for time in times
    }
    return Finding(
        KNOWN,
        f"the target of no row is known (from {' or '.join(map(repr, times))} on) before it is asked for",
        worst_first(
            (count, f"the target of {count:,} of {len(rows):,} rows is known before it is asked for (from {time!r} on)")
            for time, count in early.items()
            if count
        ),
        "correct examples.cutoff or known_at, or leave these rows out with examples.where",
    )


def targets_apart(examples: pd.DataFrame, numbers: bool, at_most: float, columns: Sequence[str] = (TARGET,)) -> Finding:
    """Find shares of the target that differ between train and another split by more than chance, and by too much.

    Of classes it is the share of each, of numbers that of those up to the value at which the shares differ most. Both
    must be: the p-value, times the number of comparisons (Bonferroni), at most ERROR_RATE, and the effect size above
    `at_most`: Cohen's h = |2 asin √p - 2 asin √q| (Cohen 1988, Statistical Power Analysis, chapter 6; 0.8 is large).
    The p-values are those of the chi-squared test with Yates's correction, and of Kolmogorov and Smirnov.
    """
    compared = [
        {"split": name, **({"of": target} if (target := target_name(column)) else {}), **comparison}
        for column in columns
        for name in SPLITS[1:]
        for comparison in (_numbers if numbers else _classes)(
            *(examples.loc[examples["split"] == split, column].to_numpy() for split in ("train", name))
        )
    ]
    wild = [row for row in compared if row["h"] > at_most and row["p"] * len(compared) <= ERROR_RATE]
    order = sorted(compared, key=lambda row: (row not in wild, -row["h"]))
    greatest = max((row["h"] for row in compared), default=0.0)
    return Finding(
        "target_alike_in_splits",
        f"no share of the target differs from that of train by more than Cohen's h {at_most:g}, beyond chance; at most "
        f"it is {greatest:.2f}",
        worst_first((row["h"], _apart(row, numbers)) for row in wild),
        "correct examples.split or examples.target, or allow more in audit.target_apart_at_most",
        tuple({**row, **{name: f"{row[name]:.4g}" for name in ("train", "share", "h", "p")}} for row in order),
    )


def _apart(row: Mapping[str, Any], numbers: bool) -> str:
    what = f"targets up to {row['target']:.6g}" if numbers else f"{row.get('of', 'target')} {row['target']}"
    return (
        f"{row['train']:.1%} of {row['train rows']:,} train rows and {row['share']:.1%} of {row['rows']:,} "
        f"{row['split']} rows have {what} (Cohen's h {row['h']:.2f})"
    )


def _classes(train: np.ndarray, other: np.ndarray) -> Iterator[dict[str, Any]]:
    """Yield the share of each class; of two classes that of the greater one says it all."""
    from scipy.stats import chi2_contingency

    classes = np.unique(np.concatenate([train, other]))
    for name in classes[1:] if len(classes) == 2 else classes:
        counts = [int((train == name).sum()), int((other == name).sum())]
        rest = [len(train) - counts[0], len(other) - counts[1]]
        p = float(chi2_contingency([counts, rest]).pvalue) if any(rest) else 1.0
        yield _compared(name, counts[0] / len(train), counts[1] / len(other), p, train, other)


def _numbers(train: np.ndarray, other: np.ndarray) -> Iterator[dict[str, Any]]:
    """Yield the share of the numbers up to the one at which the distribution functions lie farthest apart."""
    from scipy.stats import ks_2samp

    few = max(len(train), len(other)) <= EXACT
    test = ks_2samp(train, other, method="exact" if few else "asymp")
    at = float(test.statistic_location)
    yield _compared(at, float((train <= at).mean()), float((other <= at).mean()), float(test.pvalue), train, other)


def _compared(
    target: Any, share: float, other_share: float, p: float, train: np.ndarray, other: np.ndarray
) -> dict[str, Any]:
    """Return one comparison with train, as a row of the table."""
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
