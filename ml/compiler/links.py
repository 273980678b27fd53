"""The rows of the tables that a query of features looks at for one label, as steps from key to key."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from ml.compiler.tree import Node

if TYPE_CHECKING:
    import featuretools as ft


def reach(features: "Iterable[ft.FeatureBase]") -> list[dict[str, Any]]:
    """Return the steps `{table, column, value, parent}`: the rows of `table` whose `column` equals `value`.

    `value` is the label's instance or column where `parent` is None, else a column of the table of the step `parent`,
    which comes earlier. One table may be reached in several ways.
    """
    features = list(features)
    root = Node(features[0].dataframe_name)
    for feature in features:
        root.need(feature)
    steps: list[dict[str, Any]] = []
    for step in _steps(root, None, steps):
        steps.append(step)
    return steps


def _steps(node: Node, position: int | None, earlier: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for child in node.children.values():
        child_column, parent_column = child.link["child_column_name"], child.link["parent_column_name"]
        if child.forward:
            yield {"table": child.table, "column": parent_column, "value": child_column, "parent": position}
        else:
            value = "instance" if position is None else parent_column
            yield {"table": child.table, "column": child_column, "value": value, "parent": position}
        yield from _steps(child, len(earlier) - 1, earlier)
