"""The query of synthesized features, and their values."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ml.base.expressions import sources_of
from ml.base.sql import memory_limit, quoted, run_sql
from ml.compiler.compile import FeatureQuery, compile_features, compute
from ml.compiler.links import reach
from ml.declaration.use_case import UseCaseSpec
from ml.features.definitions import FeatureDefinitions, Synthesis, View
from ml.windows.window import AtCutoff

LABELS = "__labels"
_EPOCH = pa.scalar(0, pa.timestamp("us"))
_ARROW = {
    "BIGINT": pa.int64(),
    "DOUBLE": pa.float64(),
    "BOOLEAN": pa.bool_(),
    "VARCHAR": pa.string(),
    "TIMESTAMP": pa.timestamp("us"),
}


def query_of(spec: UseCaseSpec, definitions: FeatureDefinitions) -> FeatureQuery:
    """Return the query of all synthesized features among the definitions.

    It reads the definitions' views by name and `__labels` (row, instance, cutoff and the columns `record`), and returns
    row and each feature, as DOUBLE or VARCHAR, ordered by row.
    """
    synthesis = definitions.synthesis
    features = [feature for feature in definitions.features if feature.kind == "synthesis"]
    assert synthesis is not None
    names = [feature.name for feature in features]
    compiled = _compiled(synthesis, set(names) - synthesis.seeds.keys(), definitions.at_cutoff)
    values = "".join(
        f", cast({quoted(name)} as {'DOUBLE' if feature.type == 'numeric' else 'VARCHAR'}) as {quoted(name)}"
        for name, feature in zip(names, features, strict=True)
    )
    seeds = "".join(f", ({sql}) as {quoted(name)}" for name, sql in synthesis.seeds.items())
    rows = f'(select "row"{seeds} from {LABELS})'
    joined = f'{rows} join ({compiled.sql}) using ("row")' if compiled else rows
    sources = sources_of(synthesis.seeds, spec.tables[spec.examples.table].computed)
    record = [*(compiled.record if compiled else []), *(name for name in definitions.record if name.lower() in sources)]
    return FeatureQuery(
        sql=f'select "row"{values} from {joined} order by "row"',
        names=names,
        columns=compiled.columns if compiled else {},
        record=list(dict.fromkeys(record)),
    )


def _compiled(synthesis: Synthesis, names: set[str], at_cutoff: AtCutoff) -> FeatureQuery | None:
    features = _features(synthesis, names)
    if not features:
        return None
    return compile_features(features[0].entityset, features, at_cutoff=at_cutoff, labels_are_rows=True)


def _features(synthesis: Synthesis, names: Collection[str]) -> list[Any]:
    """Return featuretools' own features, those of some names."""
    import featuretools as ft

    defined = ft.load_features(synthesis.definitions) if synthesis.definitions else []
    return [feature for feature in defined if not set(feature.get_feature_names()).isdisjoint(names)]


def rows_sql(view: View, columns: Iterable[str], source: str) -> str:
    """Return the query that makes a view's rows of its source table: columns with their types, known at some time."""
    values = ", ".join(f"cast({quoted(name)} as {view.columns[name]}) as {quoted(name)}" for name in columns)
    return f"select {values} from {source}" + (f" where {quoted(view.time)} is not null" if view.time else "")


def rows_of(synthesis: Synthesis, query: FeatureQuery, tables: Mapping[str, pa.Table]) -> dict[str, pa.Table]:
    """Return the rows that a query reads: of each view the columns that it names, and its key."""
    rows = {}
    for name, columns in query.columns.items():
        view = synthesis.views[name]
        columns = list(dict.fromkeys([view.key, *columns]))
        rows[name] = run_sql(f"table {view.table!r}", rows_sql(view, columns, "source"), source=tables[view.table])
    return rows


def synthesized_values(
    spec: UseCaseSpec,
    definitions: FeatureDefinitions,
    tables: Mapping[str, pa.Table],
    record: pa.Table,
    cutoff: pa.ChunkedArray,
) -> pa.Table:
    """Compute a column for each synthesized feature, a row for each record at its cutoff, in their order.

    Records without a cutoff are asked about in 1970, as the service does: no time matters to them.
    """
    assert definitions.synthesis is not None
    synthesis, query = definitions.synthesis, query_of(spec, definitions)
    labels = {
        "instance": record[spec.keys[0]],
        "cutoff": cutoff if spec.examples.timed else pc.fill_null(cutoff, _EPOCH),
    }
    for name in query.record:
        kind = synthesis.label_type(name, definitions.record[name])
        labels[name] = record[name].cast(_ARROW[kind], safe=False)
    return compute(
        query,
        rows_of(synthesis, query, tables),
        pa.table(labels),
        memory_limit=memory_limit() or "4GB",
    )


def links_of(synthesis: Synthesis, query: FeatureQuery) -> list[dict[str, Any]]:
    """Return the steps from key to key by which a query reaches rows from one label, as `ml.compiler.links` says."""
    features = _features(synthesis, query.names)
    return reach(features) if features else []
