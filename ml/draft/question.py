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
from ml.draft.table import ID_NAME, DraftTable, number_of

POSITIVE = (
    "yes", "true", "1", "y", "t", "positive", "pos", "churned", "left", "default", "fraud", "spam", "bad", "died",
    "ja", "oui", "si", "sí", "sim", "tak", "da", "да",
)  # fmt: skip
NEGATIVE = (
    "no", "false", "0", "n", "f", "none", "negative", "neg", "stayed", "active", "good", "ham", "legit",
    "nein", "non", "não", "nao", "nej", "nee", "nie", "нет",
)  # fmt: skip
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
        alike = len({tuple(table.facts) for table, _ in options}) == 1
        also = ". Files of the same columns are one table: put them into a folder, and name that" if alike else ""
        raise DataError(f"the target {target!r} is in several tables; say which: {', '.join(names)}{also}")
    from difflib import get_close_matches

    names = [one.name for table in tables for one in table.facts.values()]
    close = get_close_matches(target, names, n=1)
    hint = f", did you mean {close[0]!r}?" if close else "."
    bare = [table.path for table in tables if "header" in table.options]
    also = f". The first line of {', '.join(bare)} looks like the others: its columns are numbered" if bare else ""
    raise DataError(f"no file has the column {target!r}{hint} There are {', '.join(names[:40])}{also}")


def question_of(table: DraftTable, target: Facts, time: str | None) -> DraftQuestion:
    """Return what is asked of a table's rows. Raises DataError for a target that nothing can be learned from."""
    if target.constant:
        value = f"is {target.least!r} in all" if target.values else "has no value in any of"
        raise DataError(f"the target {target.name!r} of {table.path!r} {value} {target.rows:,} rows: take another")
    if target.kind == "time":
        raise DataError(f"the target {target.name!r} of {table.path!r} is a time; make a number of it with `computed`")
    entries: dict[str, Any] = {"table": table.name}
    if target.distinct == 1:
        (task, expression), where, metric = _of_one(target), None, None
        entries["question about the target"] = Question(
            f"does a row without {target.name} say no? Where it is unknown, there is nothing to learn from"
        )
    else:
        task, expression, where, metric = _task(target)
    is_known = target.values == target.rows or target.distinct == 1
    conditions = [] if is_known else [f"{sql_name(target.name)} is not null"]
    if conditions or where:
        unknown = target.rows - target.values
        why = [f"{unknown:,} rows have no target"] if conditions else []
        why += [where.why] if where else []
        entries["where"] = Guess(" and ".join([*conditions, *([where.value] if where else [])]), "; ".join(why))
    entries["target"] = expression
    split = _dates(table, time) if time else None
    if split is not None:
        entries["cutoff"] = Guess(
            time if re.fullmatch(r"\w+", str(time)) else quoted(str(time)),
            "each row is asked about when it happens; `- 1d` asks a day earlier, and sees only what was known then",
        )
        entries["split"] = Guess(
            split, "70% of the rows train, the next 15% validate, the last 15% test, in order of time"
        )
        entries["question about what is known"] = _question_about_time(table, str(time), target.name)
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


def _question_about_time(table: DraftTable, time: str, target: str) -> Question:
    """Return the question what of a row is known at its time; a later time of it may be when the rest came."""
    later = [one for one in table.times if one.name != time and _is_later(table, one, table.facts[time])]
    example = f"{{{later[0].name}: [...]}}" if later else "{1d: [...]}"
    came = f" {later[0].name} comes after {time}: what else came with it?" if later else ""
    return Question(
        f"is all of a row, but for {target}, known at its {time}? What becomes known later would give the answer "
        f"away; name it in tables.{table.name}.known_at.{came}",
        (f"known_at: {example}  # in tables.{table.name}", f"known: [...]  # or here, what alone is known at {time}"),
    )


def _is_later(table: DraftTable, late: Facts, early: Facts) -> bool:
    """Return whether a time of a row is never before another, and not always at it."""
    x, y = parsed_sql(late), parsed_sql(early)
    ((before, after),) = table.opened.execute(
        f"select count_if({x} < {y}), count_if({x} > {y}) from {TABLE}"
    ).fetchall()
    return bool(before == 0 and after)


def _alternatives(table: DraftTable) -> str:
    if table.times:
        return f"by time with cutoff: {table.times[0].name} and train_until, validate_until"
    return "by a column with {column: ..., train: [...], validation: [...], test: [...]}"


def _task(target: Facts) -> tuple[Guess, Guess, Guess | None, Guess | None]:
    """Return task, target, which rows are left out for it, and the metric where it is not the task's own."""
    if target.distinct == 2:
        return _of_two(target, target.shown)
    if target.distinct > 2 and target.amount:
        why = f"{target.name} holds amounts such as {target.shown[0][0]!r}"
        number = number_of(target)
        where = Guess(f"{number} is not null", "a text that is no amount has no number")
        return Guess("regression", why), Guess(number, "the number of an amount"), where, None
    if target.kind == "text" and target.distinct > 1000:
        raise DataError(
            f"the target {target.name!r} has {target.distinct:,} different texts, allowed: 1000 classes; choose another"
        )
    whole = target.kind == "whole"
    grades = whole and target.distinct >= GRADES and target.most - target.least == target.distinct - 1
    if target.kind == "text" or (whole and target.distinct <= CLASSES and not grades):
        return _of_classes(target)
    if target.kind == "boolean":
        raise DataError(f"the target {target.name!r} has only one value")
    also = "; multiclass predicts which of the grades" if grades and target.distinct <= CLASSES else ""
    why = f"{target.name} has {target.distinct:,} different numbers from {target.least:g} to {target.most:g}{also}"
    return Guess("regression", why), Guess(sql_name(target.name), "the number to predict"), None, None


def _of_classes(target: Facts) -> tuple[Guess, Guess, Guess | None, Guess | None]:
    """Return the question of several classes: without rare ones, and of two where the others are spellings of them."""
    name = sql_name(target.name)
    if target.distinct <= len(target.shown) and (spelled := _spellings(target)):
        task, expression, _, metric = _of_two(target, spelled, f"lower(trim({name}))")
        return task, expression, None, metric
    frequent = [(value, count) for value, count in target.shown if count >= RARE]
    why, where = f"fewer than {RARE} rows, too few for three splits", None
    if target.distinct <= len(target.shown) and len(frequent) < target.distinct:
        rare = ", ".join(_literal(value) for value, count in target.shown if count < RARE)
        where = Guess(f"{name} not in ({rare})", f"these classes have {why}")
    elif len(frequent) < len(target.shown):
        where = Guess(f"{name} in ({', '.join(_literal(value) for value, _ in frequent)})", f"other classes have {why}")
    if where and len(frequent) < 2:
        raise DataError(
            f"the target {target.name!r} has {target.distinct:,} different values, of which {len(frequent)} have "
            f"{RARE} rows or more: too few to learn a class from; choose another"
        )
    if where and len(frequent) == 2:
        task, expression, _, metric = _of_two(target, frequent)
        return task, expression, where, metric
    also = "; regression predicts a number" if target.kind == "whole" else ""
    task = Guess("multiclass", f"{target.name} has {target.distinct} values, {_counts(target.shown)}{also}")
    return task, Guess(name, "the class of a row"), where, None


def _of_two(
    target: Facts, shares: Sequence[tuple[Any, int]], expression: str | None = None
) -> tuple[Guess, Guess, Guess | None, Guess | None]:
    """Return the question of two values, by the expression that has them."""
    name = expression or sql_name(target.name)
    positive = _positive(target.kind, [value for value, _ in shares])
    share = dict(shares)[positive] / sum(count for _, count in shares)
    negative = next(value for value, _ in shares if value != positive)
    asked, opposite = (f"{name} = {_literal(value)}" for value in (positive, negative))
    if target.kind == "boolean":
        asked, opposite = name, f"not {name}"
    rare = share < RARE_POSITIVE
    metric = Guess("average_precision", f"{share:.1%} are positive: roc_auc hardly sees them") if rare else None
    task = Guess("binary", f"{target.name} has two values, {_counts(shares)}")
    return task, Guess(asked, f"true for {positive}; for {negative} it would be {opposite}"), None, metric


def _of_one(target: Facts) -> tuple[Guess, Guess]:
    """Return the question of a target that has one value, or none."""
    (value, count), missing = target.shown[0], target.rows - target.values
    task = Guess("binary", f"{target.name} is {value} in {count:,} rows, and missing in {missing:,}")
    return task, Guess(f"{sql_name(target.name)} is not null", f"true for {value}")


def _spellings(target: Facts) -> list[tuple[str, int]]:
    """Return the two texts, and their rows, of which all of a target's are spellings; none where they are more."""
    counts: dict[str, int] = {}
    for value, count in target.shown:
        folded = str(value).strip(" ").lower()
        counts[folded] = counts.get(folded, 0) + count
    is_so = target.kind == "text" and len(counts) == 2
    return sorted(counts.items(), key=lambda pair: -pair[1]) if is_so else []


def _counts(shares: Sequence[tuple[Any, int]]) -> str:
    return ", ".join(f"{value} ({count:,} rows)" for value, count in shares[:6]) + (", …" if len(shares) > 6 else "")


def _positive(kind: str, values: Sequence[Any]) -> Any:
    """Return the one of two values that is asked for: one that says yes, else the greater number or the rarer text."""
    words = {value: str(value).strip().lower() for value in values}
    for value in values:
        others = [words[other] for other in values if other != value]
        if words[value] in POSITIVE or any(other in NEGATIVE for other in others):
            return value
    return max(values) if kind in ("whole", "number", "boolean") else values[-1]


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
    for one in table.facts.values():
        repeated = 50 < one.distinct < one.values and one.kind in ("whole", "text")
        if ID_NAME.search(one.name) and repeated and one.name != target.name:
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
