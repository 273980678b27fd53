"""The examples: one row for each key, with its cutoff time, target and split."""

from hashlib import blake2b

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml.spec import UseCaseSpec
from ml.sql import DataError, run_sql

SPLITS = ("train", "validation", "test")


def make_examples(use_case: str, spec: UseCaseSpec, table: pa.Table) -> pa.Table:
    """Columns: the key, `cutoff` (null where the problem has no time), `target` (0 or 1) and `split`.

    Ordered by cutoff and key. Raises DataError for a wrong expression, a null target, an empty split or a split
    with one class.
    """
    declared, key = spec.examples, spec.tables[spec.examples.table].keys[0]
    where = f"use case {use_case!r}, table {declared.table!r}"
    check_columns(where, spec, table)
    rows = run_sql(
        f"{where}, examples",
        f'select "{key}", {cutoff_sql(spec)} as cutoff, cast(({declared.target}) as boolean)::tinyint as target '
        f'from source where {declared.where or "true"} order by cutoff, "{key}"',
        source=table,
    )
    if rows.num_rows == 0:
        raise DataError(f"{where}: no row meets examples.where ({declared.where}); correct the condition")
    if nulls := rows["target"].null_count:
        raise DataError(
            f"{where}: examples.target ({declared.target}) is null in {nulls} of {rows.num_rows} rows; "
            "leave these rows out with examples.where"
        )
    if spec.examples.cutoff_column and (nulls := rows["cutoff"].null_count):
        raise DataError(
            f"{where}, column {spec.examples.cutoff_column!r}: {nulls} of {rows.num_rows} examples have no cutoff "
            "time; leave these rows out with examples.where"
        )
    examples = rows.append_column("split", _split(spec, rows))
    _check_splits(where, spec, examples)
    return examples


def cutoff_sql(spec: UseCaseSpec) -> str:
    """The cutoff as a SQL expression over the examples' table."""
    declared = spec.examples
    if declared.cutoff_column is None:
        return "cast(null as timestamp)"
    seconds = int(declared.cutoff_before.total_seconds())
    return f'cast("{declared.cutoff_column}" as timestamp) - interval {seconds} seconds'


def check_columns(where: str, spec: UseCaseSpec, table: pa.Table) -> None:
    """Raises DataError if the declaration names columns that the examples' table lacks."""
    history = spec.features.history
    named = {
        "examples.cutoff": [spec.examples.cutoff_column] if spec.examples.cutoff_column else [],
        "features.calendar": list(spec.features.calendar),
        "features.history.group_by": history.group_by if history else [],
        "relationships": [link.child_column for link in spec.links],
    }
    for place, columns in named.items():
        if missing := sorted(set(columns) - set(table.column_names)):
            raise DataError(
                f"{where}: {place} names the columns {missing}, but the table has {sorted(table.column_names)}; "
                "correct the declaration"
            )


def _split(spec: UseCaseSpec, rows: pa.Table) -> pa.Array:
    split = spec.examples.split
    if split.by_time:
        day = pa.scalar(split.train_until).cast(pa.timestamp("us"))
        later = pa.scalar(split.validate_until).cast(pa.timestamp("us"))
        cutoff = rows["cutoff"]
        return pc.if_else(pc.less(cutoff, day), "train", pc.if_else(pc.less(cutoff, later), "validation", "test"))
    return pa.array(_random_split(spec, rows))


def _random_split(spec: UseCaseSpec, rows: pa.Table) -> np.ndarray:
    """Test, validation, train along the hash of the key, in each class: stratified, and almost the same for more rows.

    New rows move the two borders a little, and training rows lie beyond the second one: a model that was trained
    before is then not tested on what it has learned from.
    """
    split, target = spec.examples.split, rows["target"].to_numpy()
    draws = np.array([_draw(spec.seed, key) for key in rows[0].to_pylist()], dtype="uint64")
    names = np.full(rows.num_rows, "train", dtype=object)
    for label in np.unique(target):
        drawn = np.flatnonzero(target == label)
        drawn = drawn[np.argsort(draws[drawn], kind="stable")]
        tests, validations = (
            round((share or 0.0) * len(drawn)) for share in (split.test_share, split.validation_share)
        )
        names[drawn[:tests]] = "test"
        names[drawn[tests : tests + validations]] = "validation"
    return names


def _draw(seed: int, key: object) -> int:
    """A number that looks random, for a key: the same in every table that has it."""
    return int.from_bytes(blake2b(f"{seed} {key}".encode(), digest_size=8).digest(), "big")


def _check_splits(where: str, spec: UseCaseSpec, examples: pa.Table) -> None:
    counts = {
        name: pc.filter(examples["target"], pc.equal(examples["split"], name)).to_numpy(zero_copy_only=False)
        for name in SPLITS
    }
    for name, target in counts.items():
        if len(target) == 0:
            raise DataError(
                f"{where}: the {name} split is empty; cutoffs run from {pc.min(examples['cutoff'])} to "
                f"{pc.max(examples['cutoff'])}: correct examples.split"
            )
        if target.min() == target.max():
            raise DataError(
                f"{where}: the target ({spec.examples.target}) has one class only in the {name} split: all "
                f"{len(target)} rows are {bool(target[0])}; correct examples.target or examples.split"
            )
