"""The question that is asked of the rows: the task that a target says, its expression, metric and split."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

from ml.base.sql import DataError, connection, quoted
from ml.draft.facts import TABLE, Facts, parsed_sql
from ml.draft.notes import Guess, Question
from ml.draft.table import DraftTable

POSITIVE = (
    "yes",
    "true",
    "1",
    "y",
    "t",
    "positive",
    "pos",
    "churned",
    "left",
    "default",
    "fraud",
    "spam",
    "bad",
    "died",
)
NAMES = ("target", "label", "y", "class", "outcome", "churn", "response", "survived", "diagnosis")
GRADES = 5  # different whole numbers without a gap, from which on they are taken for grades: a number is predicted
CLASSES = 30  # different whole numbers or texts, up to which they are taken for classes
RARE = 10  # rows that a class needs, so that each split has some
RARE_POSITIVE = 0.05
LEARNED, CHOSEN = 0.7, 0.85  # of the rows in order of time: those that train, and those up to the end of validation


@dataclass(frozen=True)
class DraftQuestion:
    """The task, the examples' entries, and the metric of a target."""

    task: Guess
    examples: dict[str, Any]
    metric: Guess | None


def likely_targets(tables: Sequence[DraftTable]) -> list[str]:
    """Return the columns that could be the target, as table.column where there are several tables, likeliest first."""
    columns = [(table, one) for table in tables for one in table.facts.values() if one.kind != "time"]
    usable = [(table, one) for table, one in columns if not one.constant and (one.name,) not in table.keys]
    last = {list(table.facts)[-1] for table in tables}
    order = sorted(usable, key=lambda pair: (pair[1].name.lower() not in NAMES, pair[1].name not in last))
    return [f"{table.name}.{one.name}" if len(tables) > 1 else one.name for table, one in order]


def find_target(tables: Sequence[DraftTable], target: str) -> tuple[DraftTable, Facts]:
    """Return the table and the column of a target, written as column or table.column. Raises DataError for another."""
    options = [
        (table, one) for table in tables for one in table.facts.values()
        if target in (one.name, f"{table.name}.{one.name}")
    ]  # fmt: skip
    if len(options) == 1:
        return options[0]
    if options:
        names = [f"{table.name}.{one.name}" for table, one in options]
        raise DataError(f"the target {target!r} is in several tables; say which: {', '.join(names)}")
    from difflib import get_close_matches

    names = [one.name for table in tables for one in table.facts.values()]
    close = get_close_matches(target, names, n=1)
    hint = f", did you mean {close[0]!r}?" if close else "."
    raise DataError(f"no file has the column {target!r}{hint} There are {', '.join(names[:40])}")


def question_of(table: DraftTable, target: Facts, time: str | None) -> DraftQuestion:
    """Return what is asked of a table's rows. Raises DataError for a target that nothing can be learned from."""
    if target.constant or target.distinct < 2:
        raise DataError(
            f"the target {target.name!r} of {table.path!r} is {target.least!r} in all {target.rows:,} rows: "
            "take another"
        )
    if target.kind == "time":
        raise DataError(f"the target {target.name!r} of {table.path!r} is a time; make a number of it with `computed`")
    task, expression, where, metric = _task(target)
    conditions = [f"{sql_name(target.name)} is not null"] if target.values < target.rows else []
    entries: dict[str, Any] = {"table": table.name}
    if conditions or where:
        unknown = target.rows - target.values
        why = [f"{unknown:,} rows have no target"] if conditions else []
        why += [where.why] if where else []
        entries["where"] = Guess(" and ".join([*conditions, *([where.value] if where else [])]), "; ".join(why))
    entries["target"] = expression
    split = _dates(table, time) if time else None
    if split is not None:
        entries["cutoff"] = Guess(
            time,
            "each row is asked about when it happens; `- 1d` asks a day earlier, and sees only what was known then",
        )
        entries["split"] = Guess(
            split, "70% of the rows train, the next 15% validate, the last 15% test, in order of time"
        )
        if table.facts[str(time)].distinct < table.rows:
            entries["question about what is known"] = Question(
                f"is all else in a row known at its {time}, but for {target.name}? What becomes known later is named "
                f"in tables.{table.name}.known_at, with a time column or a delay",
                (f"known: [...]  # or these columns alone are known at {time}",),
            )
    else:
        entries["split"] = Guess(
            {"validation_share": 0.2, "test_share": 0.2},
            f"at random{'' if task.value == 'regression' else ', the same shares of each class'}; it could also be "
            + _alternatives(table),
        )
        if group := _group(table, target):
            entries["question about groups"] = Question(
                f"do the rows of one {group} belong together? Then no {group} may be in two splits",
                (f"split: {{validation_share: 0.2, test_share: 0.2, group: {group}}}",),
            )
    return DraftQuestion(task, entries, metric)


def _alternatives(table: DraftTable) -> str:
    if table.times:
        return f"by time with cutoff: {table.times[0].name} and train_until, validate_until"
    return "by a column with {column: ..., train: [...], validation: [...], test: [...]}"


def _task(target: Facts) -> tuple[Guess, Guess, Guess | None, Guess | None]:
    """Return task, target, which rows are left out for it, and the metric where it is not the task's own."""
    name, shares = sql_name(target.name), [(value, count) for value, count in target.shown]
    counts = ", ".join(f"{value} ({count:,} rows)" for value, count in shares[:6])
    if target.distinct == 2:
        positive = _positive(target)
        share = dict(shares)[positive] / target.values
        negative = next(value for value, _ in shares if value != positive)
        expression, opposite = (f"{name} = {_literal(value)}" for value in (positive, negative))
        if target.kind == "boolean":
            expression, opposite = name, f"not {name}"
        metric = (
            Guess("average_precision", f"{share:.1%} are positive: roc_auc hardly sees them")
            if share < RARE_POSITIVE
            else None
        )
        why = f"true for {positive}; for {negative} it would be {opposite}"
        return Guess("binary", f"{target.name} has two values, {counts}"), Guess(expression, why), None, metric
    whole = target.kind == "whole"
    grades = whole and target.distinct >= GRADES and target.most - target.least == target.distinct - 1
    is_class = target.kind == "text" or (whole and target.distinct <= CLASSES and not grades)
    if target.kind == "text" and target.distinct > 1000:
        raise DataError(
            f"the target {target.name!r} has {target.distinct:,} different texts, allowed: 1000 classes; choose another"
        )
    if is_class:
        task = Guess(
            "multiclass",
            f"{target.name} has {target.distinct} values, {counts}"
            + ("; regression predicts a number" if whole else ""),
        )
        rare = [value for value, count in shares if count < RARE] if target.distinct <= len(shares) else []
        if target.distinct > len(shares) and shares[-1][1] < RARE:
            return task, Guess(name, "the class of a row"), Guess(
                f"{name} in ({', '.join(_literal(value) for value, count in shares if count >= RARE)})",
                f"other classes have fewer than {RARE} rows, too few for three splits",
            ), None  # fmt: skip
        where = (
            Guess(
                f"{name} not in ({', '.join(map(_literal, rare))})",
                f"these classes have fewer than {RARE} rows, too few for three splits",
            )
            if rare
            else None
        )
        return task, Guess(name, "the class of a row"), where, None
    also = "; multiclass predicts which of the grades" if grades and target.distinct <= CLASSES else ""
    if target.kind == "boolean":
        raise DataError(f"the target {target.name!r} has only one value")
    why = f"{target.name} has {target.distinct:,} different numbers from {target.least:g} to {target.most:g}{also}"
    return Guess("regression", why), Guess(name, "the number to predict"), None, None


def _positive(target: Facts) -> Any:
    """Return the one of two values that is asked for: one that says yes, else the greater number or the rarer text."""
    values = [value for value, _ in target.shown]
    for value in values:
        if str(value).lower() in POSITIVE:
            return value
    return max(values) if target.kind in ("whole", "number", "boolean") else values[-1]


def _dates(table: DraftTable, time: str) -> dict[str, Any] | None:
    """Return a split by two days; None where the times are of too few of them."""
    x = parsed_sql(table.facts[time])
    (((first, second), last),) = table.opened.execute(
        f"select quantile_disc({x}, [{LEARNED}, {CHOSEN}]), max({x}) from {TABLE}"
    ).fetchall()
    train, validate = (moment.date() + timedelta(days=1) for moment in (first, second))
    if not train < validate <= last.date():
        train, validate = first.date(), second.date()
    if not table.facts[time].least.date() < train < validate <= last.date():
        return None
    return {"train_until": train, "validate_until": validate}


def _group(table: DraftTable, target: Facts) -> str | None:
    """Return a column of ids that rows share, such as a patient's."""
    from ml.draft.table import _ID

    for one in table.facts.values():
        repeated = 1.5 * one.distinct < one.values and one.distinct > 50 and one.kind in ("whole", "text")
        if _ID.search(one.name) and repeated and one.name != target.name:
            return one.name
    return None


@cache
def _reserved() -> frozenset[str]:
    with connection() as opened:
        rows = opened.execute(
            "select keyword_name from duckdb_keywords() where keyword_category in ('reserved', 'type_function')"
        ).fetchall()
    return frozenset(name for (name,) in rows)


def sql_name(name: str) -> str:
    """Return a column's name as an expression of a declaration takes it, in quotes only where it needs them."""
    is_plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) and name.lower() not in _reserved()
    return name if is_plain else quoted(name)


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"{value:g}" if isinstance(value, float) else str(value)
    return "'" + str(value).replace("'", "''") + "'"
