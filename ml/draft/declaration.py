"""The draft of a declaration: a use case from files and a target, with a reason for each guess."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ml.base.sql import DataError
from ml.draft.facts import TABLE, Facts, parsed_sql
from ml.draft.links import DraftLink, likely_links, links_of
from ml.draft.notes import Guess, Question, plain, questions, yaml_lines
from ml.draft.question import find_target, likely_targets, question_of
from ml.draft.table import DraftTable, draft_table

COMPONENT = "dagster_project.components.UseCase"
SUMMED = 20_000  # rows in which a sum is looked for


class NoTargetError(DataError):
    """No target was named; `likely` are the columns that could be it."""

    def __init__(self, likely: Sequence[str]) -> None:
        super().__init__(
            f"what is to be predicted only you can say: name it with --target; likely are {', '.join(likely[:8])}"
        )
        self.likely = list(likely)


@dataclass(frozen=True)
class Draft:
    """The text of a defs.yaml, its attributes as plain values, and the questions that only a person can answer."""

    text: str
    attributes: dict[str, Any]
    questions: list[str]


def draft(use_case: str, files: Sequence[str], target: str | None) -> Draft:
    """Return the declaration of a use case from its files, of which one has the target.

    Raises NoTargetError where no target is named, and DataError for a file or a target that will not do.
    """
    with ExitStack() as stack:
        tables: list[DraftTable] = []
        for path in files:
            tables.append(stack.enter_context(draft_table(path, [table.name for table in tables], target)))
        if target is None:
            raise NoTargetError(likely_targets(tables))
        table, facts = find_target(tables, target)
        attributes = _attributes(use_case, tables, table, facts)
        entries = {"type": COMPONENT, "attributes": attributes}
        head = (
            f"# Drafted from {', '.join(files)}. Above each guess stands what it rests on, and what else it could be.",
            f"# `sextant check {use_case}` looks at the data by it; `sextant demo {use_case}` runs it.",
        )
        text = "\n".join([*head, *yaml_lines(entries), ""])
        return Draft(text, plain(attributes), list(questions(attributes)))


def _attributes(use_case: str, tables: Sequence[DraftTable], table: DraftTable, target: Facts) -> dict[str, Any]:
    unasked = replace(table, keys=tuple(key for key in table.keys if target.name not in key))
    tables = [unasked if one is table else one for one in tables]
    links = list(links_of(tables, table.name))
    keys = {link.parent: link.parent_columns for link in links}
    tables = [one.keyed(keys[one.name]) if one.name in keys else one for one in tables]
    table = next(one for one in tables if one.name == table.name)
    time = table.times[0].name if table.times else None
    asked = question_of(table, target, time)
    timed = "cutoff" in asked.examples
    ignored = _summed(table, target) if asked.task.value == "regression" else dict(_copies(table, target))
    times = {one.name: one.times[0].name for one in tables if one.times and (timed or one is table)}
    followed = [link for link in links if link.child == table.name]
    for link in followed:  # a row that is found by its time is not the latest one
        if times.get(link.parent) in link.parent_columns:
            del times[link.parent]
    pointing = [link for link in links if timed and _is_synthesized(link, table, tables, times)]
    pointing = [link for link in pointing if link.child not in {other.parent for other in followed}]  # no cycle
    attributes: dict[str, Any] = {
        "description": Guess(f"Predicts {target.name} of {table.name}.", "one sentence of yours, shown in the UI"),
        "task": asked.task,
        "tables": {
            one.name: one.entries(
                times.get(one.name),
                target.name if one is table else None,
                ignored if one is table else {},
            )
            for one in tables
        },
    }
    if followed or pointing:
        attributes["relationships"] = [
            Guess(str(link), f"{link.held:.0%} of the values in {link.child} are among the keys of {link.parent}")
            for link in (*followed, *pointing)
        ]
    attributes["examples"] = asked.examples
    if pointing:
        attributes["features"] = {
            "synthesis": Guess(
                {"aggregations": _aggregations(tables, pointing)},
                "aggregates of the rows that point at an example, as of its cutoff",
            )
        }
    attributes["models"] = Guess(
        {"ridge" if asked.task.value == "regression" else "logistic": {"trials": 5}, "lightgbm": {"trials": 10}},
        "a linear and a boosted family, quick ones; docs/models.md names the others, `ensemble` takes them together",
    )
    if asked.metric is not None:
        attributes["metric"] = asked.metric
    return attributes | _left_over(tables, table, links, [*followed, *pointing])


def _aggregations(tables: Sequence[DraftTable], pointing: Sequence[DraftLink]) -> list[str]:
    """Return the aggregations that fit a column of the tables whose rows point at an example."""
    columns_of = {link.child: link.child_column for link in pointing}
    kinds = {
        one.kind for table in tables if table.name in columns_of for one in table.facts.values()
        if one.name not in (*table.key, columns_of[table.name]) and one.kind != "time"
        and not one.constant and not one.prose
    }  # fmt: skip
    numbers = ["sum", "mean", "max"] if kinds & {"whole", "number"} else []
    return ["count", *numbers, *(["num_unique"] if "text" in kinds else [])]


def _is_synthesized(link: DraftLink, table: DraftTable, tables: Sequence[DraftTable], times: Mapping[str, str]) -> bool:
    """Return whether features can be made of the rows that point at an example by a relationship."""
    child = next(one for one in tables if one.name == link.child)
    return link.parent == table.name and link.child in times and len(child.key) <= 1 and len(table.key) == 1


def _left_over(
    tables: Sequence[DraftTable], table: DraftTable, links: Sequence[DraftLink], used: Sequence[DraftLink]
) -> dict[str, Any]:
    """Return questions about tables that nothing of the draft uses."""
    names = {table.name} | {name for link in used for name in (link.child, link.parent)}
    return {
        f"question about {one.name}": _question_about(
            one, table, [link for link in links if one.name in (link.child, link.parent)]
        )
        for one in tables
        if one.name not in names
    }


def _question_about(one: DraftTable, table: DraftTable, links: Sequence[DraftLink]) -> Question:
    name = one.name
    if not links and (likely := list(likely_links(table, one))):
        return Question(
            f"how do rows of {name} belong to those of {table.name}? By their names no column of one is a key of the "
            f"other, by their values {' or '.join(f'{link} ({link.held:.0%})' for link in likely[:3])}",
            (f'relationships: ["{likely[0]}"]',),
        )
    if not links:
        return Question(
            f"how do rows of {name} belong to those of {table.name}? No column of one is a key of the other",
            (f'relationships: ["{table.name}.<column> -> {name}.<key>"]',),
        )
    written = ", ".join(map(str, links))
    return Question(
        f"what do rows of {name} say of one of {table.name}? They belong together by {written}, which "
        "features.synthesis follows (docs/features.md), with examples.cutoff, times, and keys of one column; or join "
        "them at the source"
    )


def _copies(table: DraftTable, target: Facts) -> Iterator[tuple[str, str]]:
    """Yield the columns that say a class in other words, and why they are no features."""
    y = parsed_sql(target)
    for one in table.facts.values():
        if one.name == target.name or (one.values, one.distinct) != (target.values, target.distinct):
            continue
        x = parsed_sql(one)
        ((pairs, halves),) = table.opened.execute(
            f"select count(distinct [cast({x} as varchar), cast({y} as varchar)]), "
            f"count_if(({x} is null) <> ({y} is null)) from {TABLE}"
        ).fetchall()
        if (pairs - (one.values < one.rows), halves) == (one.distinct, 0):
            yield one.name, f"it says {target.name} in other words: what gives the target away is no feature"


def _summed(table: DraftTable, target: Facts) -> dict[str, str]:
    """Return the columns that add up to the target, and why they are no features."""
    from ml.features.sums import find_sum

    if target.kind == "text":  # amounts, of which the draft computes numbers
        return {}
    numbers = [
        one for one in table.facts.values()
        if one.kind in ("whole", "number") and one.name != target.name and not one.counts_rows and one.distinct > 1
    ]  # fmt: skip
    if not numbers:
        return {}
    columns = ", ".join(
        f"cast({parsed_sql(one)} as double) as c{place}" for place, one in enumerate([target, *numbers])
    )
    rows: dict[str, Any] = table.opened.execute(f"select {columns} from {TABLE} limit {SUMMED}").fetchnumpy()
    values: np.ndarray = np.column_stack(
        [np.ma.filled(np.ma.asarray(column, float), np.nan) for column in rows.values()]
    )
    values = values[np.isfinite(values[:, 0])]
    y, X = values[:, 0], np.where(np.isfinite(values[:, 1:]), values[:, 1:], np.nan)
    spread = float(np.std(y)) if len(y) else 0.0
    fit = find_sum(X, y, np.full(len(y), 1e-6 * spread), 0.01 * spread)
    if fit is None:
        return {}
    names = [numbers[place].name for place in fit.places]
    formula = " and ".join(names)
    return dict.fromkeys(names, f"{formula} add up to {target.name}: what gives the target away is no feature")
