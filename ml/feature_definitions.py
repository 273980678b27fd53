"""What the features are: featuretools' deep feature synthesis decides, and the decision is kept as its own JSON."""

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from ml.examples import check_columns
from ml.spec import UseCaseSpec, duration
from ml.sql import DataError, columns_of, sources_of

if TYPE_CHECKING:
    import featuretools as ft

Kind = Literal["column", "calendar", "lookup"]
_ROWS_FOR_TYPES = 1000


class Feature(BaseModel):
    """One feature: its name, where its value comes from, and whether it is a number or a category."""

    model_config = ConfigDict(frozen=True)

    name: str
    kind: Kind
    column: str
    type: Literal["numeric", "categorical"]
    lookup: str | None = None
    primitive: str | None = None


class Lookup(BaseModel):
    """A table in which a row finds values by its own columns `on`: always (static), as of its cutoff (latest), or as
    of the midnight before its cutoff (daily)."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["static", "latest", "daily"]
    table: str
    on: str
    key: str
    time: str | None = None
    valid_for_s: int | None = None


class FeatureDefinitions(BaseModel):
    """All features of a use case. `row` and `history` are featuretools' own JSON (`featuretools.load_features`)."""

    model_config = ConfigDict(frozen=True)

    row: str
    history: dict[str, str]
    features: list[Feature]
    lookups: dict[str, Lookup]
    record: dict[str, Literal["time", "text", "number", "flag"]]

    @property
    def numeric(self) -> list[str]:
        return [feature.name for feature in self.features if feature.type == "numeric"]

    @property
    def categorical(self) -> list[str]:
        return [feature.name for feature in self.features if feature.type == "categorical"]


def known_columns(spec: UseCaseSpec, table: pa.Table) -> list[str]:
    """Columns of the examples' table whose value is known at the cutoff and does not belong to the target."""
    declared = spec.tables[spec.examples.table]
    in_target = sources_of(columns_of(spec.examples.target), declared.computed)
    hidden = declared.known_later | set(declared.ignore) | set(declared.computed)
    return [name for name in table.column_names if name not in hidden and name.lower() not in in_target]


def define_features(use_case: str, spec: UseCaseSpec, tables: Mapping[str, pa.Table]) -> FeatureDefinitions:
    """Runs deep feature synthesis over the tables' schemas; no feature value is computed.

    Raises DataError if a declared column does not exist or nothing is left to build features from.
    """
    import featuretools as ft

    where = f"use case {use_case!r}, table {spec.examples.table!r}"
    table = tables[spec.examples.table]
    check_columns(where, spec, table)
    _check_links(use_case, spec, tables)
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
    if not row:
        raise DataError(f"{where}: no column is known at the cutoff, so there is nothing to build features from")
    history = {group: _history_definitions(spec, group, tables) for group in _groups(spec)}
    features = [_describe(feature, spec) for feature in row]
    for group, definitions in history.items():
        for feature in definitions:
            name = str(feature.get_name())
            features.append(
                Feature(name=f"{group}.{name}", kind="lookup", lookup=f"history_{group}", column=name, type="numeric")
            )
    names = [feature.name for feature in features]
    if unknown := sorted(set(spec.features.ignore) - set(names)):
        raise DataError(f"{where}: features.ignore names {unknown}, which are no features; there are {names}")
    return FeatureDefinitions(
        row=str(ft.save_features(row)),
        history={group: str(ft.save_features(definitions)) for group, definitions in history.items()},
        features=[feature for feature in features if feature.name not in spec.features.ignore],
        lookups=_lookups(spec),
        record=_record(spec, table),
    )


def _check_links(use_case: str, spec: UseCaseSpec, tables: Mapping[str, pa.Table]) -> None:
    """Raises DataError where a relationship joins a text to a number: no row would ever find another."""
    for link in spec.links:
        kinds = tables[link.child][link.child_column].type, tables[link.parent][link.parent_column].type
        if is_text(kinds[0]) != is_text(kinds[1]):
            raise DataError(
                f"use case {use_case!r}: the relationship {link} joins {kinds[0]} to {kinds[1]}, which are never "
                "equal; make both columns text or both numbers at their source"
            )


def _is_used(feature: Any, spec: UseCaseSpec) -> bool:
    """Leaves out ids and raw times: they identify rows instead of describing them."""
    column = feature.column_schema
    ids = {"index", "time_index", "foreign_key"}
    base = feature.base_features[0].column_schema if feature.base_features else column
    raw_time = column.is_datetime
    return (
        not raw_time
        and not (ids & set(column.semantic_tags))
        and not ("index" in base.semantic_tags and type(feature).__name__ == "DirectFeature")
    )


def _groups(spec: UseCaseSpec) -> list[str]:
    return spec.features.history.group_by if spec.features.history else []


def _calendar_primitives(spec: UseCaseSpec) -> list[str]:
    return sorted({primitive for primitives in spec.features.calendar.values() for primitive in primitives})


def _calendar_options(spec: UseCaseSpec) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for column, primitives in spec.features.calendar.items():
        for primitive in primitives:
            included = options.setdefault(primitive, {"include_columns": {spec.examples.table: []}})
            included["include_columns"][spec.examples.table].append(column)
    return options


def logical_types(frame: pd.DataFrame) -> dict[str, str]:
    """featuretools' logical type of each column, from its storage type and never from a sample of its values."""

    def name(values: pd.Series) -> str:
        if pd.api.types.is_datetime64_any_dtype(values):
            return "Datetime"
        return "Double" if pd.api.types.is_numeric_dtype(values) else "Categorical"

    return {column: name(frame[column]) for column in frame.columns}


def plain_frame(table: pa.Table, columns: list[str]) -> pd.DataFrame:
    """Columns of a table as floats (numbers and booleans alike), times and text."""
    frame: pd.DataFrame = table.select(columns).to_pandas()
    for column in columns:
        if not (pa.types.is_temporal(table[column].type) or is_text(table[column].type)):
            frame[column] = frame[column].astype("float64")
    return frame


def is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind))


def _row_entities(spec: UseCaseSpec, tables: Mapping[str, pa.Table]) -> "ft.EntitySet":
    """The examples' table as it is known at the cutoff, and the tables that its rows point at."""
    import featuretools as ft

    name, key = spec.examples.table, spec.tables[spec.examples.table].keys[0]
    columns = known_columns(spec, tables[name])
    examples = plain_frame(tables[name].slice(0, _ROWS_FOR_TYPES), columns if key in columns else [key, *columns])
    entities = ft.EntitySet("row")
    parents = {}
    for link in spec.links:
        declared = spec.tables[link.parent]
        later = {column.lower() for column in declared.known_later}
        hidden = {*declared.ignore, *declared.known_later, *declared.keys, *([declared.time] if declared.time else [])}
        hidden |= {name for name in declared.computed if later & sources_of([name], declared.computed)}
        visible = [column for column in tables[link.parent].column_names if column not in hidden]
        parent = plain_frame(tables[link.parent].slice(0, _ROWS_FOR_TYPES), visible)
        parents[link.parent] = parent.assign(row=range(len(parent)))
        examples[f"{link.parent}_row"] = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        entities.add_dataframe(
            dataframe_name=name, dataframe=examples, index=key, logical_types=logical_types(examples) | {key: "Unknown"}
        )
        for parent_name, parent in parents.items():
            entities.add_dataframe(
                dataframe_name=parent_name, dataframe=parent, index="row", logical_types=logical_types(parent)
            )
            entities.add_relationship(parent_name, "row", name, f"{parent_name}_row")
    return entities


def _history_definitions(spec: UseCaseSpec, group: str, tables: Mapping[str, pa.Table]) -> list[Any]:
    import featuretools as ft

    history = spec.features.history
    assert history is not None
    table = tables[history.table].slice(0, _ROWS_FOR_TYPES)
    entities = history_entities(spec, group, plain_frame(table, history_columns(spec, group)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        definitions = ft.dfs(
            entityset=entities,
            target_dataframe_name=group,
            agg_primitives=list(history.aggregations),
            trans_primitives=[],
            max_depth=1,
            features_only=True,
        )
    windowed = [
        ft.Feature(
            feature.base_features[0],
            parent_dataframe_name=group,
            primitive=feature.primitive,
            use_previous=ft.Timedelta(duration(window).days, "d"),
        )
        for feature in definitions
        if type(feature).__name__ == "AggregationFeature"
        for window in history.windows
    ]
    return sorted(windowed, key=lambda feature: str(feature.get_name()))


def history_columns(spec: UseCaseSpec, group: str) -> list[str]:
    """The columns of the history's table that its aggregates need."""
    history = spec.features.history
    assert history is not None
    table = spec.tables[history.table]
    known = [column for columns in table.known_at.values() for column in columns]
    return list(dict.fromkeys([table.keys[0], group, *table.known_at, *known]))


def history_entities(spec: UseCaseSpec, group: str, events: pd.DataFrame) -> "ft.EntitySet":
    """One table per time at which columns become known, so that each value is seen from that time on and not before."""
    import featuretools as ft

    history = spec.features.history
    assert history is not None
    key = spec.tables[history.table].keys[0]
    entities = ft.EntitySet(group)
    keys = pd.DataFrame({group: sorted(events[group].dropna().unique())})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        entities.add_dataframe(dataframe_name=group, dataframe=keys, index=group, logical_types=logical_types(keys))
        for time, columns in spec.tables[history.table].known_at.items():
            child = events.loc[events[time].notna() & events[group].notna(), [key, group, time, *columns]].copy()
            name = f"{history.table}_{time}"
            entities.add_dataframe(
                dataframe_name=name,
                dataframe=child,
                index=key,
                time_index=time,
                logical_types=logical_types(child) | {key: "Unknown"},
            )
            entities.add_relationship(group, group, name, group)
    return entities


def _describe(feature: Any, spec: UseCaseSpec) -> Feature:
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


def _lookups(spec: UseCaseSpec) -> dict[str, Lookup]:
    lookups = {}
    for link in spec.links:
        parent = spec.tables[link.parent]
        lookups[link.parent] = Lookup(
            kind="static" if parent.time is None else "latest",
            table=link.parent,
            on=link.child_column,
            key=link.parent_column,
            time=parent.time,
            valid_for_s=int(duration(parent.valid_for).total_seconds()) if parent.valid_for else None,
        )
    history = spec.features.history
    for group in _groups(spec):
        assert history is not None
        lookups[f"history_{group}"] = Lookup(kind="daily", table=history.table, on=group, key=group, time="day")
    return lookups


def _record(spec: UseCaseSpec, table: pa.Table) -> dict[str, Literal["time", "text", "number", "flag"]]:
    """The columns that a raw record to be scored may have."""
    key = spec.tables[spec.examples.table].keys[0]
    columns = [name for name in known_columns(spec, table) if name != key]
    return {name: _record_type(table[name].type) for name in columns}


def _record_type(kind: pa.DataType) -> Literal["time", "text", "number", "flag"]:
    if pa.types.is_timestamp(kind):
        return "time"
    if pa.types.is_boolean(kind):
        return "flag"
    return "number" if pa.types.is_integer(kind) or pa.types.is_floating(kind) else "text"
