"""The examples: one row for each key, with its cutoff time, target and split."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ml.base.expressions import check_columns_of, query_sql, row_sql
from ml.base.keys import places
from ml.base.sql import DataError, quoted, run_sql, text_sql
from ml.declaration.use_case import UseCaseSpec
from ml.examples.alike import alike
from ml.examples.groups import groups_of, is_cutoff, ranked_within, split_names, values_of
from ml.tasks.counting import GROUP
from ml.tasks.row_weights import WEIGHT
from ml.tasks.targets import TARGET, strata, target_column, target_name
from ml.tasks.transforms import learned_as, number_of

SPLITS = ("train", "validation", "test")
MOST_CLASSES = 1000
GREATEST = 1e30  # weight, and its reciprocal the least: metrics multiply up to four sums of them


def make_examples(use_case: str, spec: UseCaseSpec, tables: Mapping[str, pa.Table]) -> pa.Table:
    """Make the examples: the key, `cutoff` (null where the problem has no time), `target`, `split`, weight and group.

    The target is 0 or 1, the name of a class, or a number, as the task wants it; of several each has a column of its
    own. Ordered by cutoff and key. Raises
    DataError for a wrong expression, a target that is null or no finite number, an empty split, one whose target is
    always the same, or a class that training lacks. The last two are there where they are declared.
    """
    where = f"use case {use_case!r}, table {spec.examples.table!r}"
    check_columns(where, spec, tables[spec.examples.table])
    column, table, split = spec.examples.weight_column, tables[spec.examples.table], spec.examples.split
    within = None if is_cutoff(spec) else spec.examples.ranked_within
    places_of = {"split.group": split.group, "split.column": split.named_by, "weights": column, "ranked_within": within}
    for place, name in places_of.items():
        _require_columns(where, f"examples.{place}", [name] if name else [], table)
    rows = _queried(where, spec, tables) if spec.examples.query else _selected(where, spec, tables)
    if spec.task == "binary":
        _check_two_values(where, spec, tables)
    groups, equal, named = groups_of(spec, tables, rows), alike(spec, tables, rows), split_names(spec, tables, rows)
    try:
        examples = split.assign(_with_strata(spec, rows), groups, spec.task, spec.seed, equal, named)
    except DataError as error:
        raise DataError(f"{where}: {error}") from error
    examples = examples.drop_columns(TARGET) if spec.examples.targets else examples
    _check_splits(where, spec, examples)
    if column:
        examples = examples.append_column(WEIGHT, _weights(where, spec, tables, examples))
    if spec.examples.ranked_within:
        examples = examples.append_column(GROUP, _groups(where, spec, tables, examples))
    return examples


def _groups(where: str, spec: UseCaseSpec, tables: Mapping[str, pa.Table], rows: pa.Table) -> pa.ChunkedArray:
    """Return the value of each row within which it is ranked. Raises DataError where one is missing."""
    groups = ranked_within(spec, tables, rows)
    if missing := groups.null_count:
        raise DataError(
            f"{where}: examples.ranked_within ({spec.examples.ranked_within}) is missing in {missing} of "
            f"{rows.num_rows} examples; leave these rows out with examples.where, or correct the column"
        )
    return groups


def _with_strata(spec: UseCaseSpec, rows: pa.Table) -> pa.Table:
    """Return rows with the target that a random split keeps the shares of: of several, the rarest class."""
    if not spec.examples.targets:
        return rows
    y = np.stack([rows[column].to_numpy() for column in spec.examples.target_columns], axis=1)
    return rows.append_column(TARGET, pa.array(strata(y)))


def _weights(where: str, spec: UseCaseSpec, tables: Mapping[str, pa.Table], rows: pa.Table) -> pa.ChunkedArray:
    """Return the weight of each row, double. Raises DataError where one is no number above 0, or one beyond sums."""
    column = str(spec.examples.weight_column)
    weights = values_of(spec, tables, rows, column)
    numbers = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)
    if not any(is_one(weights.type) for is_one in numbers):
        raise DataError(
            f"{where}: examples.weights names the column {column!r}, which holds {weights.type}, no numbers; name "
            f"another one, write balanced, or declare logical_types: {{{column}: number}} where it holds some"
        )
    weights = weights.cast(pa.float64(), safe=False)
    within = pc.and_(pc.greater_equal(weights, 1 / GREATEST), pc.less_equal(weights, GREATEST))
    usable = pc.fill_null(within, False)
    if wrong := rows.num_rows - (pc.sum(usable).as_py() or 0):
        raise DataError(
            f"{where}: examples.weights ({column}) is missing, 0, negative or beyond {1 / GREATEST:g} to {GREATEST:g} "
            f"in {wrong} of {rows.num_rows} examples; leave these rows out with examples.where, or correct the column"
        )
    return weights


def _selected(where: str, spec: UseCaseSpec, tables: Mapping[str, pa.Table]) -> pa.Table:
    """Return the rows of the examples' table that meet the condition."""
    declared, key, source = spec.examples, _listed(spec.keys), tables[spec.examples.table]
    targets = _expressions(spec)
    for expression in filter(None, (*targets.values(), declared.where)):
        check_columns_of(f"{where}, examples", expression, [*source.column_names, "cutoff", "target"])
    rows = run_sql(
        f"{where}, examples",
        f"select {key}, {cutoff_sql(spec)} as cutoff, {_targets_sql(spec, targets)} "
        f"from source where ({row_sql(declared.where or 'true')}) order by cutoff, {key}",
        source=source,
    )
    if rows.num_rows == 0:
        raise DataError(f"{where}: no row meets examples.where ({declared.where}); correct the condition")
    for column in targets:
        if nulls := rows[column].null_count:
            raise DataError(
                f"{where}: {_named(spec, column)} is null in {nulls} of {rows.num_rows} rows; "
                "leave these rows out with examples.where"
            )
    transform = learned_as(declared.one_target) if spec.task == "regression" else None
    if transform and (problem := transform.problem(rows[TARGET].to_numpy())) is not None:
        raise DataError(
            f"{where}: {targets[TARGET]} {problem}, as {_named(spec, TARGET)} needs; leave these rows out with "
            "examples.where"
        )
    if declared.cutoff_column and (nulls := rows["cutoff"].null_count):
        raise DataError(
            f"{where}, column {declared.cutoff_column!r}: {nulls} of {rows.num_rows} examples have no cutoff "
            "time; leave these rows out with examples.where"
        )
    return rows


def _expressions(spec: UseCaseSpec) -> dict[str, str]:
    """Return the SQL expressions of the numbers, classes or truth values that are predicted, by column of examples."""
    declared = spec.examples
    if declared.targets:
        return {target_column(name): expression for name, expression in declared.targets.items()}
    if declared.query:
        return {TARGET: TARGET}
    return {TARGET: number_of(declared.one_target or "") if spec.task == "regression" else declared.one_target or ""}


def _targets_sql(spec: UseCaseSpec, targets: Mapping[str, str]) -> str:
    return ", ".join(f"{target_sql(spec, expression)} as {quoted(name)}" for name, expression in targets.items())


def _named(spec: UseCaseSpec, column: str) -> str:
    """Return how a column of targets was declared, in words."""
    if name := target_name(column):
        return f"examples.target {name} ({spec.examples.targets[name]})"
    return f"examples.target ({spec.examples.one_target})"


def _check_two_values(where: str, spec: UseCaseSpec, tables: Mapping[str, pa.Table]) -> None:
    """Raise DataError where the numbers of a binary target are others than 0 and 1, which SQL would merge into true."""
    for column, expression in _expressions(spec).items():
        _check_truth_values(where, spec, tables, target_name(column), expression)


def _check_truth_values(
    where: str, spec: UseCaseSpec, tables: Mapping[str, pa.Table], name: str, expression: str
) -> None:
    declared = spec.examples
    if declared.query:
        source, sources = f"(select {expression} as target from ({query_sql(declared.query)}))", dict(tables)
    else:
        check_columns_of(f"{where}, examples", expression, tables[declared.table].column_names)
        chosen = f"where ({row_sql(declared.where)})" if declared.where else ""
        source = f"(select ({row_sql(expression)}) as target from source {chosen})"
        sources = {"source": tables[declared.table]}
    counted = run_sql(
        f"{where}, examples",
        f"select cast(target as double) as number, count(*) as rows from {source} where target is not null "
        "and typeof(target) in ('TINYINT', 'SMALLINT', 'INTEGER', 'BIGINT', 'HUGEINT', 'UTINYINT', 'USMALLINT', "
        "'UINTEGER', 'UBIGINT', 'FLOAT', 'DOUBLE') or typeof(target) like 'DECIMAL%' group by 1 order by 2 desc",
        **{name: finite(table) for name, table in sources.items()},
    ).to_pylist()
    if {row["number"] for row in counted} - {0.0, 1.0, None}:
        shown = ", ".join(f"{row['number']:g} ({row['rows']:,} rows)" for row in counted[:5])
        is_true = f"{expression} = {counted[-1]['number']:g}"
        raise DataError(
            f"{where}: the task 'binary' needs a target that is true or false, or 0 or 1; {name or expression!r} has "
            f"the numbers {shown}. Write which of them is true, such as "
            + (f"target: {{{name}: {is_true}}}" if name else f"{is_true}, or declare task: multiclass or regression")
        )


def _queried(where: str, spec: UseCaseSpec, tables: Mapping[str, pa.Table]) -> pa.Table:
    """Return the rows of the query whose target is known, and of several each."""
    known = " and ".join(f"{quoted(name)} is not null" for name in spec.examples.targets or [TARGET])
    rows = query_rows(where, spec, tables, known)
    for column in spec.examples.target_columns:
        rows = rows.filter(pc.is_valid(rows[column]))  # of which some were texts that are no numbers
    if rows.num_rows == 0:
        wanted = " and ".join(spec.examples.targets) or "a target"
        raise DataError(f"{where}: examples.query gives no row with {wanted}; correct the query")
    asked = [*spec.keys, "cutoff"]
    repeated = rows.num_rows - rows.select(asked).group_by(asked).aggregate([]).num_rows
    if repeated:
        raise DataError(
            f"{where}: examples.query gives {repeated} rows with the key and cutoff of another; once is enough"
        )
    return rows


def query_rows(where: str, spec: UseCaseSpec, tables: Mapping[str, pa.Table], condition: str) -> pa.Table:
    """Return key, cutoff and targets (null where not known) of the query's rows that meet a condition, in order.

    Raises DataError if the query lacks one of these columns, or a row has no cutoff or no key of the table.
    """
    table, place = spec.examples.table, f"{where}, examples.query"
    key = _listed(spec.keys)
    rows = run_sql(
        place,
        f"select {key}, cast(cutoff as timestamp) as cutoff, {_targets_sql(spec, _expressions(spec))} "
        f"from ({query_sql(spec.examples.query or '')}) where ({row_sql(condition)}) order by cutoff, {key}",
        **{name: finite(source) for name, source in tables.items()},
    )
    if nulls := rows["cutoff"].null_count:
        raise DataError(f"{place}: {nulls} of {rows.num_rows} rows have no cutoff; leave them out")
    rows = _with_keys_of(place, spec, rows, tables[table])
    _check_known(place, spec, tables[table], rows)
    return rows


def _with_keys_of(place: str, spec: UseCaseSpec, rows: pa.Table, table: pa.Table) -> pa.Table:
    """Return a query's rows with their keys as the table has them; raises DataError for one that it has not."""
    try:
        found = _places(spec, rows, table)
    except pa.ArrowException as error:
        raise DataError(
            f"{place}: the key {spec.keys} is {rows.select(spec.keys).schema.types}, and in the table "
            f"{table.select(spec.keys).schema.types}, which are never equal: {error}; select it as it is"
        ) from error
    if unknown := found.null_count:
        raise DataError(
            f"{place}: {unknown} of {rows.num_rows} rows have a {', '.join(spec.keys)} that is not in the table; leave "
            "them out"
        )
    keys = table.select(spec.keys).take(found)
    for name in spec.keys:
        rows = rows.set_column(rows.column_names.index(name), keys.schema.field(name), keys[name])
    return rows


def _check_known(place: str, spec: UseCaseSpec, table: pa.Table, rows: pa.Table) -> None:
    """Raise DataError where a row is asked about before the table's row of its key is known."""
    declared = spec.tables[spec.examples.table]
    if declared.moment in (None, declared.time) or spec.examples.known is not None:
        return
    known_at = table[declared.moment].take(_places(spec, rows, table))
    known = pc.fill_null(pc.less_equal(known_at, rows["cutoff"].cast(known_at.type)), False)
    if early := pc.sum(pc.invert(known)).as_py() or 0:
        raise DataError(
            f"{place}: {early} of {rows.num_rows} rows are asked about before their row of {spec.examples.table!r} is "
            f"known (from {declared.moment!r} on); leave them out, or name the columns that are known in examples.known"
        )


def _places(spec: UseCaseSpec, rows: pa.Table, table: pa.Table) -> pa.ChunkedArray:
    """Return the places of rows in the examples' table, by their keys."""
    return places(rows.select(spec.keys).columns, table.select(spec.keys).columns)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(quoted, names))


def scored_rows(use_case: str, spec: UseCaseSpec, tables: Mapping[str, pa.Table], condition: str) -> pa.Table:
    """Return key and cutoff of the rows that batch predictions cover, by cutoff and key.

    Rows of a table without a cutoff time are left out, for nothing says what was known then.
    """
    table, key = spec.examples.table, _listed(spec.keys)
    where = f"use case {use_case!r}, table {table!r}, score.where"
    if spec.examples.query:
        return query_rows(where, spec, tables, condition).select([*spec.keys, "cutoff"])
    check_columns_of(where, condition, [*tables[table].column_names, "cutoff"])
    conditions = f"({row_sql(condition)})"
    if spec.examples.cutoff_column:
        conditions += f" and {quoted(spec.examples.cutoff_column)} is not null"
    query = f"select {key}, {cutoff_sql(spec)} as cutoff from source where {conditions} order by cutoff, {key}"
    return run_sql(where, query, source=tables[table])


def finite(table: pa.Table) -> pa.Table:
    """Return a table with null for each number that is infinite or none."""
    for index, field in enumerate(table.schema):
        if pa.types.is_floating(field.type):
            column = table.column(index)
            column = pc.if_else(pc.is_finite(column), column, pa.scalar(None, field.type))
            table = table.set_column(index, field.name, column)
    return table


def target_sql(spec: UseCaseSpec, expression: str) -> str:
    """Return the target as a SQL expression: 0 or 1, the class as a text, or a number."""
    if spec.task == "multiclass":
        return text_sql(row_sql(expression))
    return row_sql(f"cast(({expression}\n) as {'double)' if spec.task == 'regression' else 'boolean)::tinyint'}")


def cutoff_sql(spec: UseCaseSpec) -> str:
    """Return the cutoff as a SQL expression over the examples' table."""
    declared = spec.examples
    if declared.cutoff_column is None:
        return "cast(null as timestamp)"
    seconds = int(declared.cutoff_before.total_seconds())
    return f"cast({quoted(declared.cutoff_column)} as timestamp) - interval {seconds} seconds"


def check_columns(where: str, spec: UseCaseSpec, table: pa.Table) -> None:
    """Raise DataError if the declaration names columns that the examples' table lacks."""
    groups = [column for history in spec.features.histories for group in history.groups for column in group]
    named = {
        "examples.cutoff": [spec.examples.cutoff_column] if spec.examples.cutoff_column else [],
        "features.calendar": list(spec.features.calendar),
        "features.history.group_by": groups,
        "relationships": [column for link in spec.lookups for column in link.child_columns],
    }
    for place, columns in named.items():
        _require_columns(where, place, columns, table)


def _require_columns(where: str, place: str, columns: Iterable[str], table: pa.Table) -> None:
    if missing := sorted(set(columns) - set(table.column_names)):
        raise DataError(
            f"{where}: {place} names the columns {missing}, but the table has {sorted(table.column_names)}; "
            "correct the declaration"
        )


def _check_splits(where: str, spec: UseCaseSpec, examples: pa.Table) -> None:
    splits = {name: examples.filter(pc.equal(examples["split"], name)) for name in SPLITS}
    for name, rows in splits.items():
        if rows.num_rows == 0:
            raise DataError(f"{where}: the {name} split is empty; {_why_empty(spec, examples)}")
    for column in spec.examples.target_columns:
        targets = {name: rows[column].to_pandas() for name, rows in splits.items()}
        name = target_name(column) or f"({spec.examples.one_target or 'of examples.query'})"
        _check_values(where, spec, f"the target {name}", targets)


def _why_empty(spec: UseCaseSpec, examples: pa.Table) -> str:
    """Say what decides which rows are in a split, and what to do."""
    if spec.grouped and not spec.examples.split.in_order_of_time:
        whole = spec.kept_whole or " and ".join(spec.keys)
        return f"the rows of each {whole} are in one split, and so few may have most rows: correct examples.split"
    cutoffs = examples["cutoff"]
    when = "" if cutoffs.null_count == len(cutoffs) else f"cutoffs run from {pc.min(cutoffs)} to {pc.max(cutoffs)}: "
    return f"{when}correct examples.split"


def _check_values(where: str, spec: UseCaseSpec, subject: str, targets: Mapping[str, pd.Series]) -> None:
    """Raise DataError for a target that is always the same in a split, or has a class that training lacks."""
    for name, target in targets.items():
        if target.nunique() == 1:
            only = bool(target[0]) if spec.task == "binary" else target[0]
            kind = "the same number only" if spec.task == "regression" else "one class only"
            raise DataError(
                f"{where}: {subject} has {kind} in the {name} split: all {len(target)} rows are {only}; "
                "correct examples.target or examples.split"
            )
    if spec.task == "multiclass":
        _check_classes(where, subject, targets)


def _check_classes(where: str, subject: str, targets: Mapping[str, pd.Series]) -> None:
    """Raise DataError for a class that no training row has, and for a target that has too many values for classes."""
    if (classes := targets["train"].nunique()) > MOST_CLASSES:
        raise DataError(
            f"{where}: {subject} has {classes} classes in the train split, allowed: {MOST_CLASSES}; if it is a number, "
            "declare task: regression"
        )
    problems = [
        f"class {name!r} has {rows} rows in {split} and none in train"
        for split in ("validation", "test")
        for name, rows in targets[split].value_counts().sort_index().items()
        if name not in set(targets["train"])
    ]
    if problems:
        more = f" and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise DataError(
            f"{where}: {subject}: {'; '.join(problems[:5])}{more}; leave such rows out, or correct examples.split"
        )
