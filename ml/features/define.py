"""Deep feature synthesis: featuretools decides what the features are."""

import warnings
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from ml.base.keys import places
from ml.base.sql import DataError
from ml.declaration.features import Terms, matches
from ml.declaration.part import duration
from ml.declaration.tables import OF_EXAMPLES
from ml.declaration.use_case import UseCaseSpec
from ml.examples.build import check_columns
from ml.examples.known import is_value, known_columns, own_columns, target_columns
from ml.features.definitions import CUTOFF, Feature, FeatureDefinitions, Lookup
from ml.features.synthesis import check_number, synthesize
from ml.features.windows import (
    check_aggregations,
    describe_window,
    logical_types,
    merge,
    names_a_row,
    window_definitions,
    window_lookups,
)
from ml.tables.types import RecordType, record_type

if TYPE_CHECKING:
    import featuretools as ft


def _own_row(spec: UseCaseSpec) -> str:
    """Say what an example knows of its own row at its cutoff."""
    declared = spec.tables[spec.examples.table]
    if spec.examples.known is not None:
        return "of its own row an example knows at its cutoff what examples.known names, and nothing else"
    if own_columns(spec) is not None:
        return (
            f"a row of {spec.examples.table!r} is known only from {declared.moment!r} on, which is not the cutoff: "
            "name the columns that are known before in examples.known"
        )
    return (
        "of its own row an example knows at its cutoff all columns but those of the target, those that known_at names, "
        "what is computed of them, and ignored ones"
    )


def define_features(use_case: str, spec: UseCaseSpec, tables: Mapping[str, pa.Table]) -> FeatureDefinitions:
    """Define the features by deep feature synthesis over the tables' schemas; no feature value is computed.

    Raises DataError if a declared column does not exist or nothing is left to build features from.
    """
    import featuretools as ft

    where = f"use case {use_case!r}, table {spec.examples.table!r}"
    table = tables[spec.examples.table]
    check_columns(where, spec, table)
    _check_own(where, spec, table)
    _check_links(use_case, spec, tables)
    _check_twice(where, spec, tables)
    entities = _row_entities(spec, tables)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        row = ft.dfs(
            entityset=entities,
            target_dataframe_name=spec.examples.table,
            agg_primitives=[],
            trans_primitives=_calendar_primitives(spec),
            primitive_options=_calendar_options(spec),
            max_depth=2,
            features_only=True,
        )
    row = sorted((f for f in row if _is_used(f, spec)), key=lambda feature: str(feature.get_name()))
    windows = window_lookups(use_case, spec, tables)
    events = {name: merge(lookup for _, lookup in wanted) for name, wanted in windows.items()}
    history = {name: window_definitions(spec, wanted) for name, wanted in windows.items()}
    check_aggregations(use_case, windows, history)
    features = [_describe(feature) for feature in row]
    features += [
        describe_window(feature, name, events[name]) for name, aggregates in history.items() for feature in aggregates
    ]
    record = _record(spec, table, events.values())
    _check_known(where, spec, events.values(), record)
    names = {feature.name for feature in features}
    if len(names) < len(features):
        twice = sorted(name for name, count in Counter(feature.name for feature in features).items() if count > 1)
        raise _named_twice(where, twice)
    elsewhere = names | {column for column in record if column in spec.foreign_keys(spec.examples.table)}
    synthesis, more = synthesize(
        where, spec, tables, [name for name in record if name in table.column_names], elsewhere
    )
    _check_patterns(where, spec, names | {feature.name for feature in more})
    features = _with_texts(where, spec, features + more)
    features = [feature for feature in features if _is_wanted(spec, feature)]
    _check_names(where, features, {*OF_EXAMPLES, *map(str.lower, spec.examples.target_columns)})
    require_slice_columns(where, spec, {*table.column_names, *(feature.name for feature in features)})
    if not features:
        raise DataError(
            f"{where}: no column is known at the cutoff, so there is nothing to build features from: {_own_row(spec)}"
        )
    check_number(where, spec, (feature.lookup or f"the {feature.kind} of the examples" for feature in features))
    return FeatureDefinitions(
        row=str(ft.save_features(row)) if row else "",
        history={name: str(ft.save_features(definitions)) for name, definitions in history.items()},
        features=features,
        lookups=lookups_of(spec) | events,
        record=record,
        synthesis=synthesis,
        at_cutoff=spec.features.at_cutoff,
    )


def _is_wanted(spec: UseCaseSpec, feature: Feature) -> bool:
    of_row = feature.kind == "column" and feature.lookup is None
    return is_value(spec, feature.name) if of_row else spec.features.wants(feature.name)


def _with_texts(where: str, spec: UseCaseSpec, features: Iterable[Feature]) -> list[Feature]:
    """Return features of which those are texts that are columns declared as such.

    Raises DataError where features.text names what is none of these.
    """
    described = [_as_text(spec, feature) for feature in features]
    texts = {feature.name for feature in described if feature.type == "text"}
    if unknown := sorted(spec.features.text.keys() - texts):
        raise DataError(
            f"{where}: features.text names {unknown}, which are no features that are texts; there are {sorted(texts)}. "
            "Correct the names, or declare the columns in their table's logical_types: {review: text}"
        )
    return described


def _as_text(spec: UseCaseSpec, feature: Feature) -> Feature:
    """Return a feature as a text if it is a column that is declared as one, of its own row or of one looked up."""
    own, name = spec.examples.table, feature.name
    if feature.kind == "synthesis" and feature.made_of != [(own, name)]:  # what is computed of a row is named so
        return feature
    table, column = feature.lookup or own, feature.column or name
    is_text = feature.type == "categorical" and column in spec.tables[table].texts
    more = {"type": "text", "terms": spec.features.text.get(name, Terms())}
    return feature.model_copy(update=more) if is_text else feature


def _check_known(where: str, spec: UseCaseSpec, windows: Iterable[Lookup], record: Mapping[str, RecordType]) -> None:
    """Raise DataError where something needs a column that an example does not know of itself at its cutoff."""
    needed = {
        "features.history.group_by": {column for lookup in windows for column in lookup.on},
        "features.calendar": set(spec.features.calendar),
        "relationships": {column for link in spec.lookups for column in link.child_columns} - {spec.key},
    }
    for place, columns in needed.items():
        for column in sorted(columns - record.keys()):
            raise DataError(
                f"{where}: {place} names {column!r}, which an example does not have at its cutoff: {_own_row(spec)}. "
                f"Take some of {sorted(record)}, or make {column!r} in the source"
            )


def _check_own(where: str, spec: UseCaseSpec, table: pa.Table) -> None:
    """Raise DataError where examples.known names what cannot be known at the cutoff."""
    known, declared = set(spec.examples.known or []), spec.tables[spec.examples.table]
    if missing := sorted(known - set(table.column_names)):
        raise DataError(f"{where}: examples.known names {missing}, but the table has {sorted(table.column_names)}")
    reasons = {
        "belong to the target": {name for name in known if name.lower() in target_columns(spec)},
        "become known later, as known_at says": known
        & {name for names in declared.known_from.values() for name in names},
        "are ignored": known & set(declared.ignore),
        "are computed, so that what they are made of must be named": known & set(declared.derived),
    }
    for reason, names in reasons.items():
        if names:
            raise DataError(f"{where}: examples.known names {sorted(names)}, which {reason}; leave them out")


def _check_names(where: str, features: Sequence[Feature], of_examples: set[str]) -> None:
    """Raise DataError for a feature with the name of a column that every example has beside its features."""
    for name in sorted({feature.name for feature in features if feature.name.lower() in of_examples}):
        raise DataError(
            f"{where}: the column {name!r} would be a feature with the name of the examples' own {name.lower()}; give "
            f"it another name at its source, or list it under ignore (tables.….ignore, features.ignore)"
        )
    for text, feature in product((feature for feature in features if feature.type == "text"), features):
        if text.becomes(feature.name):
            raise DataError(
                f"{where}: the column {feature.name!r} has the name of a number that the text {text.name!r} becomes; "
                "give it another name at its source, or list it under ignore (tables.….ignore, features.ignore)"
            )


def _check_twice(where: str, spec: UseCaseSpec, tables: Mapping[str, pa.Table]) -> None:
    """Raise DataError for a column with the name of a feature of another, of which featuretools would drop one."""
    made = {f"{link.parent}.{column}" for link in spec.lookups for column in tables[link.parent].column_names}
    made |= {f"{part.upper()}({column})" for column, parts in spec.features.calendar.items() for part in parts}
    own = set(tables[spec.examples.table].column_names) - set(spec.tables[spec.examples.table].ignore)
    if twice := sorted(made & own):
        raise _named_twice(where, twice)


def _named_twice(where: str, names: Iterable[str]) -> DataError:
    return DataError(
        f"{where}: {list(names)} would each be the name of two features; rename a column of those at its source"
    )


def _check_patterns(where: str, spec: UseCaseSpec, names: set[str]) -> None:
    """Raise DataError where features.only or features.ignore names what is no feature.

    What only names a row of another table may be ignored, for it is no feature anyway.
    """
    keys = spec.foreign_keys(spec.examples.table)
    for option, allowed in {"only": names, "ignore": names | keys}.items():
        patterns = getattr(spec.features, option)
        if unknown := [pattern for pattern in patterns if not any(matches(name, pattern) for name in allowed)]:
            raise DataError(
                f"{where}: features.{option} names {unknown}, which are no features; there are {sorted(names)}"
            )


def _check_links(use_case: str, spec: UseCaseSpec, tables: Mapping[str, pa.Table]) -> None:
    """Raise DataError where a relationship joins columns whose values are never equal, or are not once."""
    for link in spec.links:
        children = tables[link.child].select(link.child_columns).drop_null()
        parents = tables[link.parent].select(link.parent_columns)
        for child, parent in zip(children.columns, parents.columns, strict=True):
            if record_type(child.type) != record_type(parent.type):
                raise DataError(
                    f"use case {use_case!r}: the relationship {link} joins {child.type} to {parent.type}, which are "
                    "never equal; say in both tables' logical_types what they hold, such as category, or make both "
                    "alike at their source"
                )
        if len(children) and len(parents) and places(children.columns, parents.columns).null_count == len(children):
            raise DataError(
                f"use case {use_case!r}: the relationship {link} finds no row at all: {_some(children)} … are not "
                f"among {_some(parents)} …; correct the columns' names or their values"
            )


def _some(keys: pa.Table) -> list[object]:
    """Return some keys as messages have them: a value each, or a tuple where they are of several columns."""
    values = list(zip(*(column[:3].to_pylist() for column in keys.columns), strict=True))
    return [value[0] if len(value) == 1 else value for value in values]


def _is_used(feature: Any, spec: UseCaseSpec) -> bool:
    """Return whether a feature is used: ids and raw times identify rows instead of describing them."""
    column = feature.column_schema
    ids = {"index", "time_index", "foreign_key"}
    base = feature.base_features[0].column_schema if feature.base_features else column
    raw_time = column.is_datetime
    return (
        not raw_time
        and not (ids & set(column.semantic_tags))
        and not ("index" in base.semantic_tags and type(feature).__name__ == "DirectFeature")
    )


def _calendar_primitives(spec: UseCaseSpec) -> list[str]:
    return sorted({primitive for primitives in spec.features.calendar.values() for primitive in primitives})


def _calendar_options(spec: UseCaseSpec) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for column, primitives in spec.features.calendar.items():
        for primitive in primitives:
            included = options.setdefault(primitive, {"include_columns": {spec.examples.table: []}})
            included["include_columns"][spec.examples.table].append(column)
    return options


def plain_frame(table: pa.Table, columns: Iterable[str]) -> pd.DataFrame:
    """Return rows that have the types of columns of a table, and none of its values: a schema is all they tell.

    Numbers and booleans alike are floats; beside them are times and texts.
    """
    kinds = {name: record_type(table.schema.field(name).type) for name in columns}
    values = {"time": pd.Timestamp(0), "text": "a", "number": 0.0, "flag": 0.0}
    return pd.DataFrame({name: [values[kind]] for name, kind in kinds.items()})


def _row_entities(spec: UseCaseSpec, tables: Mapping[str, pa.Table]) -> "ft.EntitySet":
    """Return the schema of the examples' table as it is known at the cutoff, and of the tables it points at."""
    import featuretools as ft

    name, key = spec.examples.table, spec.key or unused("row", tables[spec.examples.table].column_names)
    columns = [
        column for column in known_columns(spec, tables[name]) if not names_a_row(spec, name, tables[name], column)
    ]
    examples = plain_frame(tables[name], list(dict.fromkeys([*([spec.key] if spec.key else []), *columns])))
    if spec.key is None:
        examples.insert(0, key, 0)
    entities = ft.EntitySet("row")
    parents = {}
    for link in spec.lookups:
        declared = spec.tables[link.parent]
        hidden = {*declared.ignore, *declared.known_later, *declared.keys, *declared.times}
        source = tables[link.parent]
        hidden |= {column for column in source.column_names if names_a_row(spec, link.parent, source, column)}
        hidden |= {field.name for field in source.schema if pa.types.is_temporal(field.type)}  # or they had a calendar
        visible = [column for column in source.column_names if column not in hidden]
        parent = plain_frame(source, visible)
        index, column = (
            unused("row", map(str, parent)),
            unused(f"{link.parent}_row", [*examples, *tables[name].column_names]),
        )
        parents[link.parent] = parent.assign(**{index: range(len(parent))}), index, column
        examples[column] = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        entities.add_dataframe(
            dataframe_name=name, dataframe=examples, index=key, logical_types=logical_types(examples) | {key: "Unknown"}
        )
        for parent_name, (parent, index, column) in parents.items():
            entities.add_dataframe(
                dataframe_name=parent_name, dataframe=parent, index=index, logical_types=logical_types(parent)
            )
            entities.add_relationship(parent_name, index, name, column)
    return entities


def unused(name: str, columns: Iterable[str]) -> str:
    """Return a name that none of some columns has: this one, or one that is longer."""
    taken = set(columns)
    while name in taken:
        name += "_"
    return name


def _describe(feature: Any) -> Feature:
    numeric = feature.column_schema.is_numeric or feature.column_schema.is_boolean
    kind = type(feature).__name__
    name = str(feature.get_name())
    base = feature.base_features[0].get_name() if feature.base_features else name
    if kind == "IdentityFeature":
        return Feature(name=name, kind="column", column=name, type="numeric" if numeric else "categorical")
    if kind == "DirectFeature":
        lookup = feature.base_features[0].dataframe_name
        value = feature.base_features[0].column_schema
        number = value.is_numeric or value.is_boolean
        return Feature(
            name=name, kind="lookup", lookup=lookup, column=str(base), type="numeric" if number else "categorical"
        )
    return Feature(name=name, kind="calendar", column=str(base), primitive=str(feature.primitive.name), type="numeric")


def lookups_of(spec: UseCaseSpec) -> dict[str, Lookup]:
    """Return the tables that an example looks a row up in, by their names: always, or as of its cutoff."""
    lookups = {}
    for link in spec.lookups:
        parent = spec.tables[link.parent]
        lookups[link.parent] = Lookup(
            kind="static" if parent.moment is None else "latest",
            table=link.parent,
            on=list(link.child_columns),
            keys=list(link.parent_columns),
            time=parent.moment,
            happened=parent.time,
            valid_for_s=int(duration(parent.valid_for).total_seconds()) if parent.valid_for else None,
        )
    return lookups


def _record(spec: UseCaseSpec, table: pa.Table, windows: Iterable[Lookup]) -> dict[str, RecordType]:
    """Return the columns that a raw record to be scored may have; the key only where history belongs to it."""
    key = spec.key
    by_key = any(key in lookup.on for lookup in windows) or any(
        link.parent == spec.examples.table for link in spec.links
    )
    columns = [name for name in known_columns(spec, table) if name != key] + ([key] if key and by_key else [])
    cutoff: dict[str, RecordType] = {CUTOFF: "time"} if spec.examples.query else {}
    return {name: record_type(table[name].type) for name in columns} | cutoff


def require_slice_columns(where: str, spec: UseCaseSpec, allowed: Collection[str]) -> None:
    """Raise DataError if evaluation.slices or evaluation.sensitive name what is no column and no feature."""
    named = {"evaluation.slices": spec.evaluation.slices, "evaluation.sensitive": spec.evaluation.sensitive}
    for place, columns in named.items():
        if missing := sorted(set(columns) - set(allowed)):
            raise DataError(
                f"{where}: {place} names {missing}, which are neither columns of the table nor features; allowed: "
                f"{', '.join(sorted(allowed))}"
            )
