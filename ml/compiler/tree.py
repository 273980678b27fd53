"""The tree of features: the path from the target to where each is computed, after which others, as which SQL."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from ml.base.sql import quoted
from ml.primitives.catalogue import AGGREGATIONS, COMPARISONS, CUTOFF, TRANSFORMS, Group, literal

if TYPE_CHECKING:
    import featuretools as ft

_Edge = tuple[bool, Any]  # as in featuretools' RelationshipPath: (towards the parent, relationship)
# These aggregations make plain floats, or text, of pandas' nullable types.
_NEVER_NULLABLE = {"count", "num_unique", "mode", "n_most_common", "entropy", "skew", "trend"}


def unsupported_features(features: Iterable["ft.FeatureBase"]) -> dict[str, str]:
    """Return the features that have no SQL, by name, with the reason."""
    reasons = {}
    for feature in features:
        for part in [feature, *feature.get_dependencies(deep=True)]:
            if reason := _unsupported(part):
                reasons[str(feature.get_name())] = reason
    return reasons


def _unsupported(feature: Any) -> str | None:
    name, with_sql = feature.primitive.name, {"AggregationFeature": AGGREGATIONS, "TransformFeature": TRANSFORMS}
    if kind_of(feature) in ("IdentityFeature", "DirectFeature", "FeatureOutputSlice"):
        return None
    if kind_of(feature) not in with_sql or getattr(feature.primitive, "uses_full_dataframe", False):
        return f"the primitive {name!r} ({kind_of(feature)}) depends on all visible rows of the table at once"
    if name not in with_sql[kind_of(feature)] or not _is_featuretools(feature.primitive):
        return f"the primitive {name!r} ({kind_of(feature)}) has no SQL"
    if name.startswith(("greater", "less")) and any(map(_is_ordinal, feature.base_features)):
        return f"the primitive {name!r} goes by the order of an ordinal column's categories, which SQL does not know"
    try:
        expressions_of(feature, Group())
    except TypeError as error:
        return str(error)
    return None


def kind_of(feature: Any) -> str:
    return type(feature).__name__


def _is_featuretools(primitive: Any) -> bool:
    """Return whether it is one of featuretools' own: another class may mean another thing by the same name."""
    return any(kind.__module__.startswith("featuretools.primitives.standard") for kind in type(primitive).__mro__)


def _is_ordinal(feature: Any) -> bool:
    while kind_of(feature) == "DirectFeature":
        feature = feature.base_features[0]
    return kind_of(feature) == "IdentityFeature" and type(feature.column_schema.logical_type).__name__ == "Ordinal"


def _is_nullable(feature: Any) -> bool:
    """Return whether pandas holds the values in a nullable type.

    In such a type a comparison with a missing value is missing.
    """
    if kind_of(feature) == "IdentityFeature":
        return feature.column_schema.logical_type.primary_dtype in ("Int64", "boolean", "string")
    return feature.primitive.name not in _NEVER_NULLABLE and any(map(_is_nullable, feature.base_features))


def _whole(feature: Any) -> Any:
    return feature.base_feature if kind_of(feature) == "FeatureOutputSlice" else feature


def columns_of(feature: Any) -> list[str]:
    """Return the columns of a feature in the relation of its node."""
    columns = [quoted(str(name)) for name in _whole(feature).get_feature_names()]
    return [columns[feature.n]] if kind_of(feature) == "FeatureOutputSlice" else columns


def column_of(feature: Any) -> str:
    return columns_of(feature)[0]


def filled(value: str, feature: Any) -> str:
    default = literal(feature.default_value)
    return value if default == "NULL" else f"coalesce({value}, {default})"


def expressions_of(feature: Any, group: Group) -> list[str]:
    """Return the SQL of an aggregation or a transform, one expression for each of its outputs."""
    name, primitive, inputs = feature.primitive.name, feature.primitive, tuple(map(column_of, feature.base_features))
    if kind_of(feature) == "AggregationFeature":
        return AGGREGATIONS[name](group, primitive, inputs)
    expression = TRANSFORMS[name](primitive, inputs)
    if name in COMPARISONS and not any(map(_is_nullable, feature.base_features)):
        expression = f"coalesce({expression}, {COMPARISONS[name]})"
    return [expression]


def window_start(window: Any, cutoff: str) -> str:
    """Return the lower end of a window; months and years go by the calendar."""
    if window.is_absolute() and not window.has_multiple_units():
        return f"{cutoff} - to_microseconds({window.delta_obj.value // 1000})"
    return " - ".join([cutoff, *(f"to_{unit}({value})" for unit, value in window.lower_readable_times().items())])


class Node:
    """The rows of a table that are reached along one path from the target.

    In their relation `__row` is the number of the label row, `__id` the table's index, `__time` its time index,
    `__key<depth>` the index of an ancestor and `__to <column>` a link to a parent.
    """

    def __init__(self, table: str, parent: "Node | None" = None, edge: _Edge | None = None) -> None:
        self.table, self.parent = table, parent
        self.link = edge[1].to_dictionary() if edge else {}
        self.forward = edge is not None and edge[0]
        self.unique: bool = parent is None or (parent.unique and self.forward)  # for a label row
        self.key: str = f"__key{parent.depth + 1 if parent else 0}"
        self.depth: int = parent.depth + 1 if parent else 0
        self.features: dict[str, Any] = {}  # by name; each comes after those that it needs
        self.children: dict[_Edge, Node] = {}
        self.windows: list[Any] = []  # of the aggregations that read these rows
        self.rows = ""  # the relation in which all features are

    def ancestors(self) -> list[str]:
        """Return the ancestors by which aggregations may group these rows; those that are unique need none."""
        if self.parent is None or self.forward:
            return []
        return self.parent.ancestors() + ([] if self.parent.unique else [self.parent.key])

    def below(self, path: Iterable[_Edge]) -> "Node":
        node = self
        for forward, relationship in path:
            table = relationship.to_dictionary()[f"{'parent' if forward else 'child'}_dataframe_name"]
            edge = (forward, relationship)
            node = node.children.setdefault(edge, Node(table, node, edge))
        return node

    def need(self, feature: Any) -> None:
        """Note a feature, and all that it is computed from at the nodes where that is computed."""
        feature = _whole(feature)
        if feature.get_name() in self.features:
            return
        node = self.below(feature.relationship_path)
        for part in feature.get_dependencies():
            node.need(part)
        self.features[feature.get_name()] = feature
        if kind_of(feature) == "AggregationFeature":
            node.windows.append(feature.use_previous)
            while node.parent is not None and node.parent is not self:
                node = node.parent
                node.windows.append(None)

    def start(self) -> str | None:
        """Return the time before which no aggregation looks, if all have windows of a fixed length."""
        fixed = [window for window in self.windows if window is not None and window.is_absolute()]
        if not fixed or len(fixed) < len(self.windows) or any(window.has_multiple_units() for window in fixed):
            return None
        return window_start(max(fixed, key=lambda window: window.delta_obj), f"p.{CUTOFF}")

    def is_plain(self) -> bool:
        """Return whether it is a parent of which only columns are used.

        These can be looked up where they are needed.
        """
        return self.forward and not self.children and len(self.of_kind("IdentityFeature")) == len(self.features)

    def of_kind(self, *kinds: str) -> list[Any]:
        return [feature for feature in self.features.values() if kind_of(feature) in kinds]

    def levels(self) -> Iterator[list[Any]]:
        """Yield the transforms, level by level: each needs only what comes before."""
        level = dict.fromkeys(self.features, 0)
        for feature in self.of_kind("TransformFeature"):
            level[feature.get_name()] = 1 + max(level[_whole(base).get_name()] for base in feature.base_features)
        for number in range(1, max(level.values(), default=0) + 1):
            yield [self.features[name] for name in level if level[name] == number]
