"""Windows: the aggregates of the past that featuretools makes, for each group, time and window."""

import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from ml.base.sql import DataError
from ml.declaration.features import History
from ml.declaration.part import duration
from ml.declaration.tables import Table
from ml.declaration.use_case import UseCaseSpec
from ml.examples.known import target_columns, target_known_from
from ml.features.definitions import Feature, Lookup
from ml.tables.computed import late_parts
from ml.tables.types import is_number, is_text
from ml.windows.window import check_range, scale_of

EVENT = "_row"  # the column that names an event
ALL = "all"  # the name of the group of all rows

if TYPE_CHECKING:
    import featuretools as ft


def window_lookups(
    use_case: str, spec: UseCaseSpec, tables: Mapping[str, pa.Table]
) -> dict[str, list[tuple[History, Lookup]]]:
    """Return a lookup for each group and time at which columns of a history's table become known, and its declaration.

    Several histories may have the same group of the same table; `merge` then joins what they look up. Sorted by name:
    the order of keys in a declaration decides nothing, as its hash does not know it.
    Raises DataError where a group's column is missing or only one of two tables has it as text.
    """
    lookups: dict[str, list[tuple[History, Lookup]]] = {}
    for history in spec.features.histories:
        table, declared = tables[history.table], spec.tables[history.table]
        _check_groups(use_case, spec, history, table, tables[spec.examples.table])
        _check_columns(use_case, spec, history, table)
        groups = _known_groups(use_case, history, declared, table)
        if EVENT in table.column_names and EVENT not in declared.ignore:
            raise DataError(
                f"use case {use_case!r}, table {history.table!r}: a column {EVENT!r} has the name by which events are "
                "told apart; give it another name at its source, or list it under ignore"
            )
        for time, columns in (
            declared.known_from or {str(declared.moment): list(_value_columns(spec, history, table))}
        ).items():
            columns = [name for name in columns if not names_a_row(spec, history.table, table, name)]
            if history.columns is not None:
                columns = [name for name in columns if name in history.columns]
            scales = {name: scale_of(table[name]) for name in columns if is_number(table[name].type)}
            check_range(f"use case {use_case!r}, table {history.table!r}", table, scales)
            counted = columns if "num_unique" in history.aggregations else []
            texts = [name for name in counted if is_text(table[name].type)]
            scales |= dict.fromkeys(texts, 0)
            for group in groups[time]:
                lookup = Lookup(
                    kind="window", table=history.table, on=group, keys=group, time=time, scales=scales, texts=texts
                )
                name = f"{history.table}_{time} by {' and '.join(group)}" if group else f"{history.table}_{time} of all"
                lookups.setdefault(name, []).append((history, lookup))
    return dict(sorted(lookups.items()))


def _known_groups(use_case: str, history: History, declared: Table, table: pa.Table) -> dict[str, list[list[str]]]:
    """Return for each time of a table's events the groups of which every row then knows its own.

    Raises DataError for one that no event knows in time.
    """
    times = list(declared.known_from) or [str(declared.moment)]

    def is_known(group: list[str], time: str) -> bool:
        return not any(True for column in group for _ in late_parts(declared, table, column, time))

    known = {time: [group for group in history.groups if is_known(group, time)] for time in times}
    for group in history.groups:
        if not any(group in groups for groups in known.values()):
            raise DataError(
                f"use case {use_case!r}: features.history.group_by names {' and '.join(map(repr, group))}, but a row "
                f"of {history.table!r} that becomes known ({', '.join(times)}) does not know it yet: known_at says "
                "that it is known later. Group by another column, or say in known_at what is known from then on"
            )
    return known


def merge(lookups: Iterable[Lookup]) -> Lookup:
    """Return one lookup of all that several of the same group, table and time look up."""
    first, *others = lookups
    if not others:
        return first
    scales = {name: scale for lookup in (first, *others) for name, scale in lookup.scales.items()}
    texts = {text for lookup in (first, *others) for text in lookup.texts}
    return first.model_copy(update={"scales": dict(sorted(scales.items())), "texts": sorted(texts)})


def _value_columns(spec: UseCaseSpec, history: History, table: pa.Table) -> Iterator[str]:
    """Return the columns of a table whose rows are known whole at their time; no key.

    Of the examples' own table nothing of the target is among them, unless known_at says when it is known.
    """
    declared = spec.tables[history.table]
    hidden = {name.lower() for name in (*declared.keys, *declared.ignore, *declared.times, str(declared.moment))}
    hidden |= {column.lower() for group in history.groups for column in group}
    if history.table == spec.examples.table and target_known_from(spec) is None:
        in_target = target_columns(spec)
        hidden |= in_target | {name.lower() for name in declared.made_of(in_target)}
    return (name for name in table.column_names if name.lower() not in hidden)


def names_a_row(spec: UseCaseSpec, name: str, table: pa.Table, column: str) -> bool:
    """Return whether a column of a table is a number that only names a row of another table, and is no quantity."""
    return column in spec.foreign_keys(name) and is_number(table[column].type)


def _check_groups(use_case: str, spec: UseCaseSpec, history: History, events: pa.Table, examples: pa.Table) -> None:
    for column in sorted({column for group in history.groups for column in group}):
        if column not in events.column_names:
            raise DataError(
                f"use case {use_case!r}: features.history.group_by names {column!r}, but the table {history.table!r} "
                f"has {sorted(events.column_names)}; name columns that both tables have"
            )
        kinds = events[column].type, examples[column].type
        if is_text(kinds[0]) != is_text(kinds[1]):
            raise DataError(
                f"use case {use_case!r}: features.history.group_by {column!r} is {kinds[0]} in {history.table!r} and "
                f"{kinds[1]} in {spec.examples.table!r}, which are never equal; make both text or both numbers"
            )


def _check_columns(use_case: str, spec: UseCaseSpec, history: History, table: pa.Table) -> None:
    """Raise DataError where a history names columns that cannot be aggregated."""
    declared = spec.tables[history.table]
    known = [name for names in declared.known_from.values() for name in names]
    names = known if declared.known_from else list(_value_columns(spec, history, table))
    allowed = sorted(name for name in names if not names_a_row(spec, history.table, table, name))
    if [] in history.groups and ALL in (history.columns or allowed):
        raise DataError(
            f"use case {use_case!r}, table {history.table!r}: a column {ALL!r} has the name of the group of all rows; "
            "give it another name at its source, list it under ignore, or let features.history.columns leave it out"
        )
    if wrong := sorted(set(history.columns or []) - set(allowed)):
        raise DataError(
            f"use case {use_case!r}: features.history.columns names {wrong}, but of {history.table!r} these become "
            f"known and are no key, group, time or target: {allowed}; correct the names, or say in "
            f"tables.{history.table}.known_at when they are known"
        )


def group_name(lookup: Lookup) -> str:
    """Return the name of a lookup's group, by which its features are called."""
    return "_".join(lookup.on) or ALL


def window_definitions(spec: UseCaseSpec, wanted: Iterable[tuple[History, Lookup]]) -> list[Any]:
    """Return the aggregates that histories want of a group's events, each feature once, sorted by name."""
    aggregates = (feature for history, lookup in wanted for feature in _definitions(spec, history, lookup))
    return [feature for _, feature in sorted({str(feature.get_name()): feature for feature in aggregates}.items())]


def _definitions(spec: UseCaseSpec, history: History, lookup: Lookup) -> list[Any]:
    """Return the aggregates that deep feature synthesis makes of a group's events, once for each window."""
    import featuretools as ft

    group = group_name(lookup)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        definitions = ft.dfs(
            entityset=window_entities(spec, lookup),
            target_dataframe_name=group,
            agg_primitives=list(history.aggregations),
            trans_primitives=[],
            max_depth=1,
            features_only=True,
        )
    return [
        ft.Feature(
            feature.base_features[0],
            parent_dataframe_name=group,
            primitive=feature.primitive,
            use_previous=ft.Timedelta(int(window[:-1]), window[-1]),
        )
        for feature in definitions
        if type(feature).__name__ == "AggregationFeature"
        if feature.primitive.name == "num_unique" or feature.base_features[0].get_name() not in lookup.texts
        for window in history.windows
        # Of the time since the last event a shorter window knows nothing that the longest does not.
        if feature.primitive.name != "time_since_last" or duration(window) == history.longest
    ]


def check_aggregations(
    use_case: str, windows: Mapping[str, list[tuple[History, Lookup]]], definitions: Mapping[str, Iterable[Any]]
) -> None:
    """Raise DataError where an aggregation fits no column of its history's table."""
    for history in [history for wanted in windows.values() for history, _ in wanted]:
        lookups = [name for name, wanted in windows.items() if any(other is history for other, _ in wanted)]
        names = {feature.primitive.name for lookup in lookups for feature in definitions[lookup]}
        if unused := sorted(set(history.aggregations) - names):
            kind = "text" if unused == ["num_unique"] else "number (a boolean counts as one)"
            raise DataError(
                f"use case {use_case!r}: features.history asks for {unused} of {history.table!r}, of which no column "
                f"that becomes known, with its group or after it, is a {kind}; leave them out, or declare logical_types"
            )


def window_entities(spec: UseCaseSpec, lookup: Lookup, events: pd.DataFrame | None = None) -> "ft.EntitySet":
    """Return a group and its events, as featuretools knows them: `events`, or none where only the schema matters.

    Each value is seen from the time on at which it became known.
    """
    import featuretools as ft

    names, group, time = spec.tables[lookup.table].keys, group_name(lookup), str(lookup.time)
    key = names[0] if len(names) == 1 else EVENT
    if events is None:
        numbers = {column: ["a"] if column in lookup.texts else [0.0] for column in lookup.scales}
        events = pd.DataFrame({key: [0], group: ["a"], time: [pd.Timestamp(0)], **numbers})
    child = events[[key, group, time, *lookup.scales]]
    keys = pd.DataFrame({group: sorted(child[group].unique())})
    name, entities = f"{lookup.table}_{time}", ft.EntitySet(group)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        entities.add_dataframe(dataframe_name=group, dataframe=keys, index=group, logical_types=logical_types(keys))
        entities.add_dataframe(
            dataframe_name=name,
            dataframe=child,
            index=key,
            time_index=time,
            logical_types=logical_types(child) | {key: "Unknown"},
        )
        entities.add_relationship(group, group, name, group)
    return entities


def logical_types(frame: pd.DataFrame) -> dict[str, str]:
    """Return featuretools' logical type of each column, from its storage type and never from a sample of its values."""

    def name(values: pd.Series) -> str:
        if pd.api.types.is_datetime64_any_dtype(values):
            return "Datetime"
        return "Double" if pd.api.types.is_numeric_dtype(values) else "Categorical"

    return {column: name(frame[column]) for column in frame.columns}


def describe_window(feature: Any, name: str, lookup: Lookup) -> Feature:
    """Describe a featuretools aggregate over the events of a lookup, as a feature."""
    column = str(feature.base_features[0].get_name())
    return Feature(
        name=f"{group_name(lookup)}.{feature.get_name()}",
        kind="window",
        type="numeric",
        lookup=name,
        column=column if column in lookup.scales else None,
        aggregation=feature.primitive.name,
        window_s=sum(round(duration(f"1{unit}").total_seconds() * n) for unit, n in feature.use_previous.times.items()),
    )
