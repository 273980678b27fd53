"""Deep feature synthesis over the tables around the examples: featuretools decides, along the relationships."""

import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from ml.base.expressions import row_sql, sources_of
from ml.base.sql import DataError
from ml.declaration.relationships import Link
from ml.declaration.tables import Table
from ml.declaration.use_case import UseCaseSpec
from ml.features.definitions import Feature, Synthesis, View
from ml.tables.computed import late_parts, sent_types
from ml.tables.types import SqlType, sql_type, type_of

if TYPE_CHECKING:
    import featuretools as ft

RESERVED = {"row", "instance", "cutoff"}  # what the query of the features calls columns of its own
_LOGICAL: dict[SqlType, tuple[str, Any]] = {
    "DOUBLE": ("Double", 0.0),
    "BIGINT": ("Double", 0.0),
    "VARCHAR": ("Categorical", "a"),
    "BOOLEAN": ("BooleanNullable", True),
    "TIMESTAMP": ("Datetime", pd.Timestamp(0)),
}


def synthesize(
    where: str, spec: UseCaseSpec, tables: Mapping[str, pa.Table], record: Iterable[str], elsewhere: set[str]
) -> tuple[Synthesis | None, list[Feature]]:
    """Return the features of the declaration's synthesis and computed columns, whether they are wanted or not.

    `record` are the columns of the examples' table that an asked row has. Those `elsewhere` are left out: features of
    another kind, and what names a row of another table. Raises DataError where a primitive fits no column, a column's
    name is reserved or there are too many features.
    """
    table, declared = tables[spec.examples.table], spec.tables[spec.examples.table]
    seeds = _seeds(declared, table, record)
    kinds = {name: sql_type(table[name].type) for name in seeds if name not in declared.ignore}
    features = [
        Feature(name=name, kind="synthesis", type=type_of(kind), made_of=[(spec.examples.table, name)])
        for name, kind in kinds.items()
        if kind != "TIMESTAMP"
    ]
    definitions, views = "", dict[str, View]()
    if spec.features.synthesis is not None:
        _check_own_keys(where, spec)
        views = _views(spec, tables)
        synthesized = _synthesized(where, spec, _entities(spec, tables, views, record), elsewhere)
        features += [column for feature in synthesized for column in _columns(feature, views)]
        definitions = _saved([feature for feature in synthesized if _has_wanted_name(feature, spec)])
    if not features:
        return None, []
    if taken := sorted(RESERVED & set(record)):
        raise DataError(f"{where}: the columns {taken} have names that features.synthesis needs; rename them")
    whole = sources_of(seeds, declared.computed) & {name.lower() for name in sent_types(declared, table)}
    named = [name for name in table.column_names if name.lower() in whole and name in record]
    return Synthesis(definitions=definitions, seeds=seeds, views=views, whole=named), features


def _check_own_keys(where: str, spec: UseCaseSpec) -> None:
    """Raise DataError where a table points by its own key at another: of one row there is nothing to aggregate."""
    for link in spec.links:
        if link.child != spec.examples.table and _is_by_own_key(spec, link):
            remedy = (
                f"write {link.parent}.{link.parent_column} -> {link.child}.{link.child_column}, and it is looked up"
                if link.parent == spec.examples.table
                else "make one table of both at their source"
            )
            raise DataError(
                f"{where}: by the relationship {link} each of {link.parent!r} has one row of {link.child!r} at most, "
                f"of which features.synthesis aggregates nothing; {remedy}"
            )


def _is_by_own_key(spec: UseCaseSpec, link: Link) -> bool:
    """Return whether a row finds that of another table by its own key, so that either has one at most."""
    return [link.child_column] == spec.tables[link.child].keys


def _has_wanted_name(feature: Any, spec: UseCaseSpec) -> bool:
    return any(spec.features.wants(str(name)) for name in feature.get_feature_names())


def _seeds(declared: Table, table: pa.Table, record: Iterable[str]) -> dict[str, str]:
    """Return the computed columns that a row's own columns yield, as SQL over an asked row."""
    recorded, computed = {name.lower() for name in record}, {name.lower() for name in declared.computed}
    types = sent_types(declared, table)
    return {
        name: row_sql(expression, types)
        for name, expression in declared.derived.items()
        if name in declared.computed and sources_of([name], declared.computed) - computed <= recorded
    }


def _views(spec: UseCaseSpec, tables: Mapping[str, pa.Table]) -> dict[str, View]:
    """Return views of the tables that relationships connect with the examples'.

    There is one for every time at which a table becomes known.
    """
    root, reached = spec.examples.table, [spec.examples.table]
    for table in reached:  # grows as it is walked
        for link in spec.links:
            static = link.child != root or spec.tables[link.parent].moment is None
            if _is_by_own_key(spec, link):  # featuretools has no such relationship; the row itself is looked up
                continue
            for near, far in ((link.parent, link.child), (link.child, link.parent)):
                if near == table and far not in reached and static:
                    reached.append(far)
    return {name: view for table in sorted(reached[1:]) for name, view in _views_of(spec, table, tables[table])}


def _views_of(spec: UseCaseSpec, name: str, table: pa.Table) -> Iterator[tuple[str, View]]:
    declared = spec.tables[name]
    links = [link.child_column for link in spec.links if link.child == name]

    def keys(time: str | None) -> list[str]:
        """Return the key, and the columns that name a row of another table as soon as a row is seen."""
        return [declared.keys[0], *(column for column in links if _is_known(declared, table, column, time))]

    hidden = {*declared.ignore, *declared.known_later, *declared.texts}
    if declared.moment is not None or not declared.known_from:
        at = [declared.moment] if declared.moment else []
        columns = [*keys(declared.moment), *at, *(column for column in table.column_names if column not in hidden)]
        yield name, View(table=name, key=declared.keys[0], time=declared.moment, columns=_types(table, columns))
    for time, columns in sorted(declared.known_from.items()):
        visible = [column for column in columns if column not in {*declared.ignore, *declared.texts}]
        types = _types(table, [*keys(time), time, *visible])
        yield f"{name}_{time}", View(table=name, key=declared.keys[0], time=time, columns=types)


def _is_known(declared: Table, table: pa.Table, column: str, time: str | None) -> bool:
    if time is None:
        return column not in declared.known_later
    return not any(True for _ in late_parts(declared, table, column, time))


def _types(table: pa.Table, columns: Iterable[str]) -> dict[str, SqlType]:
    return {name: sql_type(table[name].type) for name in dict.fromkeys(columns)}


def _entities(
    spec: UseCaseSpec, tables: Mapping[str, pa.Table], views: Mapping[str, View], record: Iterable[str]
) -> "ft.EntitySet":
    """Return the schema: the examples' table as a row is asked, and all others as they become known."""
    import featuretools as ft

    root = spec.examples.table
    own = [column for column in record if column not in spec.tables[root].texts]
    row = View(table=root, key=spec.keys[0], columns=_types(tables[root], [*spec.keys, *own]))
    entities = ft.EntitySet("synthesis")
    for name, view in {root: row, **views}.items():
        _add(entities, spec, name, view)
    for link in (link for link in spec.links if not _is_by_own_key(spec, link)):
        for name, view in views.items() if link.child != root else [(root, row)]:
            is_known = link.child_column in view.columns
            if view.table == link.child and link.parent in entities.dataframe_dict and is_known:
                entities.add_relationship(link.parent, link.parent_column, name, link.child_column)
    return entities


def _add(entities: "ft.EntitySet", spec: UseCaseSpec, name: str, view: View) -> None:
    linked = {link.child_column for link in spec.links if link.child == view.table}
    types = {column: _LOGICAL[kind] for column, kind in view.columns.items()}
    types |= {column: _LOGICAL["VARCHAR"] for column in types if column in {view.key, *linked}}
    frame = pd.DataFrame({column: [value] for column, (_, value) in types.items()})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        entities.add_dataframe(
            dataframe_name=name,
            dataframe=frame,
            index=view.key,
            time_index=view.time,
            logical_types={column: logical for column, (logical, _) in types.items()},
        )
    values = spec.tables[view.table].interesting_values
    if here := {column: allowed for column, allowed in values.items() if column in view.columns}:
        entities.add_interesting_values(dataframe_name=name, values=here)


def _synthesized(where: str, spec: UseCaseSpec, entities: "ft.EntitySet", elsewhere: set[str]) -> list[Any]:
    """Return featuretools' features by name.

    They are made depth after depth, so that too many are refused before there are a million.
    """
    declared = spec.features.synthesis
    assert declared is not None
    features: list[Any] = []
    for depth in range(1, declared.depth + 1):
        candidates, unused = _dfs(spec, entities, depth)
        features = [feature for feature in candidates if _is_feature(feature, elsewhere) and not _is_undated(feature)]
        features += _windowed(spec, features)
        check_number(where, spec, (_cause(feature) for feature in features if _has_wanted_name(feature, spec)))
    if unused:
        raise DataError(
            f"{where}: features.synthesis names primitives that fit no column of the connected tables: {unused}; "
            "leave them out, or give a column another type by logical_types"
        )
    return sorted(features, key=lambda feature: str(feature.get_name()))


def _dfs(spec: UseCaseSpec, entities: "ft.EntitySet", depth: int) -> tuple[list[Any], str]:
    """Run deep feature synthesis: its features, and what it says of primitives that it could not use."""
    import featuretools as ft
    from featuretools.exceptions import UnusedPrimitiveWarning

    declared = spec.features.synthesis
    assert declared is not None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        features = ft.dfs(
            entityset=entities,
            target_dataframe_name=spec.examples.table,
            agg_primitives=sorted({*declared.aggregations, *declared.where}),
            trans_primitives=declared.transforms,
            where_primitives=declared.where,
            max_depth=depth,
            features_only=True,
        )
    texts = [str(warning.message) for warning in caught if issubclass(warning.category, UnusedPrimitiveWarning)]
    unused = [line.strip() for text in texts for line in text.splitlines() if "_primitives" in line]
    return list(features), "; ".join(unused)


def _is_feature(feature: Any, elsewhere: set[str]) -> bool:
    """Return whether a candidate is no id, no time, none of those `elsewhere`, and not made of whose row it is."""
    column, target = feature.column_schema, feature.dataframe_name
    links = [link for link in feature.entityset.relationships if link.parent_name == target]
    to_target = {(link.child_name, link.to_dictionary()["child_column_name"]) for link in links}
    made_of = {(part.dataframe_name, part.get_name()) for part in feature.get_dependencies(deep=True)}
    of_ids = {"index", "time_index", "foreign_key"} & set(column.semantic_tags)
    return not (column.is_datetime or of_ids or elsewhere & set(feature.get_feature_names()) or to_target & made_of)


def _is_undated(feature: Any) -> bool:
    """Return whether rows without a time are aggregated where no row that has one leads to them.

    Such rows are seen always.
    """

    def dated(part: Any) -> bool:
        way = [relationship.child_name for _, relationship in part.relationship_path]
        tables = [part.parent_dataframe_name, *way]
        return any(feature.entityset[table].ww.time_index is not None for table in tables)

    parts = [feature, *feature.get_dependencies(deep=True)]
    return any(type(part).__name__ == "AggregationFeature" and not dated(part) for part in parts)


def _windowed(spec: UseCaseSpec, features: list[Any]) -> list[Any]:
    """Return the aggregations over rows that point at an example themselves, once for each window."""
    import featuretools as ft

    declared = spec.features.synthesis
    assert declared is not None
    return [
        type(feature)(
            feature.base_features,
            parent_dataframe_name=feature.parent_dataframe_name,
            primitive=feature.primitive,
            relationship_path=feature.relationship_path,
            use_previous=ft.Timedelta(int(window[:-1]), window[-1]),
            where=feature.where,
        )
        for feature in features
        if type(feature).__name__ == "AggregationFeature" and len(feature.relationship_path) == 1
        if feature.entityset[feature.base_features[0].dataframe_name].ww.time_index is not None
        for window in declared.windows
    ]


def check_number(where: str, spec: UseCaseSpec, causes: Iterable[str]) -> None:
    """Raise DataError, with the three largest causes, if there are more features than the declaration allows."""
    counted = Counter(causes)
    if counted.total() > spec.features.at_most:
        largest = ", ".join(f"{count} from {cause}" for cause, count in counted.most_common(3))
        raise DataError(
            f"{where}: {counted.total()} features, allowed by features.at_most: {spec.features.at_most}; most come of "
            f"{largest}. Take fewer windows, groups, primitives or levels of depth, or allow more"
        )


def _cause(feature: Any) -> str:
    base = feature.base_features[0].dataframe_name if feature.base_features else feature.dataframe_name
    return f"{feature.primitive.name} over {base}" if feature.primitive.name else str(base)


def _columns(feature: Any, views: Mapping[str, View]) -> list[Feature]:
    """Describe each column that featuretools makes of a feature, with the columns of source tables behind it."""
    parts = [feature, *feature.get_dependencies(deep=True)]
    made_of = {(part.dataframe_name, part.column_name) for part in parts if type(part).__name__ == "IdentityFeature"}
    for _, link in (edge for part in parts for edge in part.relationship_path):
        made_of |= {(name, views[name].time) for name in (link.child_name, link.parent_name) if name in views}
        made_of.add((link.child_name, link.to_dictionary()["child_column_name"]))
    tables = {name: view.table for name, view in views.items()}
    column = feature.column_schema
    numeric = column.is_numeric or column.is_boolean or "numeric" in column.semantic_tags
    return [
        Feature(
            name=str(name),
            kind="synthesis",
            type="numeric" if numeric else "categorical",
            made_of=sorted((tables.get(table, table), column) for table, column in made_of if column),
        )
        for name in feature.get_feature_names()
    ]


def _saved(features: list[Any]) -> str:
    import featuretools as ft

    return str(ft.save_features(features)) if features else ""
