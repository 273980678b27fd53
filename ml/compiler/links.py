"""Which rows of the tables a query of features looks at for one label, as steps from key to key."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from ml.compiler.tree import Node

if TYPE_CHECKING:
    import featuretools as ft


def reach(features: "Iterable[ft.FeatureBase]") -> list[dict[str, Any]]:
    """Steps `{table, column, value, parent}`: the rows of `table` whose `column` equals `value`.

    `value` is the label's instance or column where `parent` is None, else a column of the table of the step `parent`,
    which comes earlier. One table may be reached in several ways.
    """
    features = list(features)
    root = Node(features[0].dataframe_name)
    for feature in features:
        root.need(feature)
    found: list[dict[str, Any]] = []
    for step in _steps(root, None, found):
        found.append(step)
    return found


def _steps(node: Node, position: int | None, found: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for child in node.children.values():
        own, other = child.link["child_column_name"], child.link["parent_column_name"]
        if child.forward:
            yield {"table": child.table, "column": other, "value": own, "parent": position}
        else:
            value = "instance" if position is None else other
            yield {"table": child.table, "column": own, "value": value, "parent": position}
        yield from _steps(child, len(found) - 1, found)
