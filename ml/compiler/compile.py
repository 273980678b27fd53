"""A compiler of featuretools' features to one DuckDB query, which answers every row as of that row's own cutoff.

The compiler walks the relationships from the target table. A *node* is one path of them: its rows are, for each label
row, the rows of the table at the path's end that were visible at the cutoff. Aggregations group a node's rows and are
joined to the node where their path begins, direct features come from a parent's node, transforms are expressions.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ml.base.sql import quoted
from ml.compiler.query import LABEL_COLUMNS, LABELS, FeatureQuery, FeatureSqlError, compute
from ml.compiler.tree import Node, column_of, columns_of, expressions_of, filled, unsupported_features, window_start
from ml.primitives.catalogue import AGGREGATIONS, CUTOFF, TRANSFORMS, Group
from ml.windows.window import AtCutoff

if TYPE_CHECKING:
    import featuretools as ft

__all__ = ["AtCutoff", "FeatureQuery", "FeatureSqlError", "compile_features", "compute", "unsupported_features"]


def compile_features(
    entityset: "ft.EntitySet",
    features: Sequence["ft.FeatureBase"],
    *,
    at_cutoff: AtCutoff,
    known_at: Mapping[str, str] | None = None,
    labels_are_rows: bool = False,
) -> FeatureQuery:
    """Compile the query of the features of one target table; of the entity set only the schema counts.

    With `labels_are_rows` the target's columns are read from the labels themselves, each of which is then a row of its
    own, always visible, whose index is the instance: for rows that no table has, or has with other values.

    A row of a table is visible if its time index and its column `known_at[table]` are both before the cutoff, or at it
    where `at_cutoff` is "included". Where either is missing the row is never visible; a table with neither always is.
    A window (`use_previous`) reaches back over the time index and includes its lower end.

    Raises FeatureSqlError with every feature that has no SQL.
    """
    known_at = dict(known_at or {})
    if unknown := sorted(set(known_at) - {frame.ww.name for frame in entityset.dataframes}):
        raise FeatureSqlError(f"known_at names {unknown}, which are no tables of the entity set")
    if problems := unsupported_features(features):
        listed = "\n".join(f"- {name}: {reason}" for name, reason in sorted(problems.items()))
        raise FeatureSqlError(
            f"{len(problems)} of {len(features)} features have no SQL; leave them out:\n{listed}\n"
            f"aggregations with SQL: {', '.join(sorted(AGGREGATIONS))}\n"
            f"transforms with SQL: {', '.join(sorted(TRANSFORMS))}"
        )
    _check_names(features)
    before = "<=" if at_cutoff == "included" else "<"
    return _Compiler(entityset, known_at, before, labels_are_rows).query(features)


def _check_names(features: Sequence[Any]) -> None:
    names = [name for feature in features for name in feature.get_feature_names()]
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    taken = sorted(name for name in names if name in LABEL_COLUMNS or name.startswith("__"))
    targets = sorted({feature.dataframe_name for feature in features})
    if twice or taken or len(targets) != 1:
        raise FeatureSqlError(
            f"features must have one target table and different names, none of them {LABEL_COLUMNS} or beginning with "
            f"'__'; targets: {targets}, names given twice: {twice}, names not allowed: {taken}"
        )


class _Compiler:
    def __init__(self, entityset: Any, known_at: Mapping[str, str], before: str, labels_are_rows: bool) -> None:
        self.entityset, self.known_at, self.before = entityset, known_at, before
        self.labels_are_rows = labels_are_rows
        self.relations: list[str] = []
        self.columns: dict[str, dict[str, None]] = {}  # the inner ones are ordered sets

    def query(self, features: Sequence[Any]) -> FeatureQuery:
        root = Node(features[0].dataframe_name)
        for feature in features:
            root.need(feature)
        self.emit(root)
        names = [str(name) for feature in features for name in feature.get_feature_names()]
        values = [filled(f"q.{column}", feature) for feature in features for column in columns_of(feature)]
        columns = [_named(value, quoted(name)) for value, name in zip(values, names, strict=True)]
        relations = ",\n".join(self.relations)
        sql = (
            f"WITH {relations}\nSELECT l.row, l.instance, l.cutoff, {', '.join(columns)}\n"
            f"FROM {LABELS} l LEFT JOIN {root.rows} q ON q.__row = l.row ORDER BY l.row"
        )
        columns_of_tables = {table: list(columns) for table, columns in self.columns.items()}
        record = columns_of_tables.pop(LABELS, [])
        return FeatureQuery(sql, names, columns_of_tables, record)

    def is_label(self, node: Node) -> bool:
        return self.labels_are_rows and node.parent is None

    def relation(self, sql: str) -> str:
        self.relations.append(f"__rows{len(self.relations)} AS ({sql})")
        return f"__rows{len(self.relations) - 1}"

    def read(self, table: str, column: str) -> str:
        self.columns.setdefault(table, {})[column] = None
        return f"t.{quoted(column)}"

    def emit(self, node: Node) -> None:
        """Add the relations of a node and of all below it."""
        if node.is_plain():
            node.rows = f"(SELECT {', '.join(self.own_columns(node))} FROM {quoted(node.table)} t)"
            return
        node.rows = self.relation(self.visible_rows(node))
        for child in node.children.values():
            self.emit(child)
        if features := node.of_kind("AggregationFeature", "DirectFeature"):
            node.rows = self.relation(self.joined(node, features))
        for level in node.levels():
            values = [f"{expressions_of(feature, Group())[0]} AS {column_of(feature)}" for feature in level]
            node.rows = self.relation(f"SELECT *, {', '.join(values)} FROM {node.rows}")

    def own_columns(self, node: Node) -> list[str]:
        """Return the columns that a node's rows take from its table: order, times, links and features."""
        schema, known_at, table = self.entityset[node.table].ww, self.known_at.get(node.table), node.table
        if self.is_label(node):
            table = LABELS
            columns = [f"row AS __row, cutoff AS {CUTOFF}, instance AS __id, NULL AS __time"]
        else:
            time = self.read(node.table, schema.time_index) if schema.time_index else "NULL"
            columns = [f"{self.read(node.table, schema.index)} AS __id", f"{time} AS __time"]
        if known_at:
            columns.append(f"{self.read(node.table, known_at)} AS __known")
        links = {child.link["child_column_name"] for child in node.children.values() if child.forward}
        columns += [f"{self.read(table, link)} AS {_link(link)}" for link in sorted(links)]
        for feature in node.of_kind("IdentityFeature"):
            value = self.read(table, feature.column_name)
            value = f"CAST({value} AS TIMESTAMP)" if feature.column_schema.is_datetime else value
            columns.append(f"{value} AS {column_of(feature)}")
        return columns

    def is_visible(self, node: Node, rows: str) -> list[str]:
        """Return the conditions under which one of a node's rows is seen from a row of `p`."""
        times = [] if self.entityset[node.table].ww.time_index is None else ["__time"]
        times += ["__known"] if node.table in self.known_at else []
        return [f"{rows}.{time} {self.before} p.{CUTOFF}" for time in times]

    def visible_rows(self, node: Node) -> str:
        """Return the relation of the rows of this node's table that were visible, for each row of the parent node."""
        if self.is_label(node):
            return f"SELECT {', '.join(self.own_columns(node))} FROM {LABELS} t"
        columns, match = [f"p.__row, p.{CUTOFF}, q.*"], []
        if node.parent is None:
            rows = f"(SELECT row AS __row, cutoff AS {CUTOFF}, instance AS __id FROM {LABELS})"
            match.append("q.__id = p.__id")
        elif node.forward:
            link = _link(node.link["child_column_name"])
            # Many rows of one label may share a parent, which must not count twice in what is aggregated further on.
            rows = (
                node.parent.rows
                if node.unique
                else f"(SELECT DISTINCT __row, {CUTOFF}, {link} FROM {node.parent.rows})"
            )
            match.append(f"q.__id = p.{link}")
        else:
            rows = node.parent.rows
            match.append("q.__parent = p.__id")
            columns += [f"p.{'__id' if key == node.parent.key else key} AS {key}" for key in node.ancestors()]
        match += self.is_visible(node, "q")
        if start := node.start():
            match.append(f"q.__time >= {start}")
        table_columns = self.own_columns(node)
        if node.parent and not node.forward:
            table_columns.append(f"{self.read(node.table, node.link['child_column_name'])} AS __parent")
        table = f"(SELECT {', '.join(table_columns)} FROM {quoted(node.table)} t)"
        return f"SELECT {', '.join(columns)} FROM {rows} p JOIN {table} q ON {' AND '.join(match)}"

    def joined(self, node: Node, features: list[Any]) -> str:
        """Return a node's rows with their aggregations and direct features.

        There is one join for each path, filter and window.
        """
        groups: dict[tuple[Any, ...], list[Any]] = {}
        for feature in features:
            where, window = getattr(feature, "where", None), getattr(feature, "use_previous", None)
            source = node.below(feature.relationship_path)
            shared = (source, None if where is None else column_of(where), window and window.get_name())
            groups.setdefault(shared, []).append(feature)
        columns, joins = ["p.*"], ""
        for number, ((source, *_), members) in enumerate(groups.items()):
            q = f"q{number}"
            rows = source.rows if source.forward else self.aggregated(node, source, members)
            joins += f" LEFT JOIN {rows} {q} ON {' AND '.join(self.match(node, source, q))}"
            for feature in members:
                origins = columns_of(feature.base_features[0] if source.forward else feature)
                for name, origin in zip(columns_of(feature), origins, strict=True):
                    columns.append(_named(filled(f"{q}.{origin}", feature), name))
        return f"SELECT {', '.join(columns)} FROM {node.rows} p{joins}"

    def match(self, node: Node, source: Node, q: str) -> list[str]:
        """Return the conditions that join what was computed at `source` to the rows `p` of a node."""
        if not source.forward:
            return [f"{q}.__row = p.__row", *([] if node.unique else [f"{q}.{node.key} = p.__id"])]
        link = f"{q}.__id = p.{_link(source.link['child_column_name'])}"
        if source.is_plain():
            return [link, *self.is_visible(source, q)]
        return [f"{q}.__row = p.__row", *([] if source.unique else [link])]

    def aggregated(self, node: Node, source: Node, features: list[Any]) -> str:
        """Return the relation of aggregations that share path, filter and window: one GROUP BY."""
        group = Group()
        results: dict[str, str] = {}
        for feature in features:
            results |= dict(zip(columns_of(feature), expressions_of(feature, group), strict=True))
        keys = ["__row"] if node.unique else ["__row", node.key]
        where, window = features[0].where, features[0].use_previous
        rows = source.rows
        if where is not None or window is not None:
            rows = f"{rows} WHERE {'TRUE' if where is None else column_of(where)}"
            if window is not None and window.has_no_observations():
                rows += f" AND __time >= {window_start(window, CUTOFF)}"
            elif window is not None:
                latest = f"row_number() OVER (PARTITION BY {', '.join(keys)} ORDER BY __time DESC, __id DESC)"
                rows += f" QUALIFY {latest} <= {window.get_value('o')}"
            rows = self.relation(f"SELECT * FROM {rows}")
        return group.select(keys, rows, results, self.relation)


def _link(column: str) -> str:
    return quoted(f"__to {column}")


def _named(value: str, name: str) -> str:
    """Return a column of the result; a plain one needs no name, which saves time in parsing."""
    return value if value.endswith(f".{name}") else f"{value} AS {name}"
