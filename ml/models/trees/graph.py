"""Trees of any library in one neutral form, and that form as an ONNX graph that routes each row as the library does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from ml.models.additive import Additive, GrownTrees, of_task
from ml.models.family import IR_VERSION, OPSETS
from ml.tasks.objectives import Link
from ml.tasks.task import Task

if TYPE_CHECKING:
    import onnx


LARGEST = float(np.finfo(np.float32).max)  # splits at it or beyond tell missing values from all others


class Split(NamedTuple):
    """A row goes on at node `yes` if its value is at most the float32 `at`, or is one of the codes `at`; else at `no`.

    A missing value goes to `yes` if `missing` says so.
    """

    feature: int
    at: float | tuple[float, ...]
    yes: int
    no: int
    missing: bool


class Leaf(NamedTuple):
    """The numbers that a tree adds to the targets `first`, `first + 1` and so on."""

    weights: tuple[float, ...]
    first: int = 0


Tree = Sequence[Split | Leaf]  # the root is node 0
TreeLink = Literal["margin", "answer", "log"]


def floored(thresholds: np.ndarray) -> np.ndarray:
    """Return the largest float32 not above each float64 threshold: the same float32 values are at most both."""
    with np.errstate(over="ignore"):
        nearest = thresholds.astype(np.float32)
    below: np.ndarray = np.nextafter(nearest, np.float32(-np.inf))
    return np.where(nearest.astype(np.float64) <= thresholds, nearest, below)


def thresholds(trees: Sequence[Tree]) -> dict[int, np.ndarray]:
    """Return, per feature, the float32 values that go last to `yes` at some split, without float32's ends."""
    values: dict[int, set[float]] = {}
    for tree in trees:
        for node in tree:
            if isinstance(node, Split) and not isinstance(node.at, tuple) and abs(node.at) < LARGEST:
                values.setdefault(node.feature, set()).add(node.at)
    return {feature: np.array(sorted(distinct), np.float32) for feature, distinct in sorted(values.items())}


def graph_link(link: Link) -> TreeLink:
    """Return how the sum of a booster's trees is linked to its answer, by its objective's link."""
    return "log" if link == "log" else "margin"


def tree_graph(
    trees: Sequence[Tree],
    task: Task,
    *,
    features: int,
    base: Sequence[float],
    link: TreeLink = "margin",
) -> onnx.ModelProto:
    """Return a graph from `X` float32 [n_rows, features] to `score`: the sum of the trees and `base`, float [outputs].

    A sum that is a `margin` becomes a probability by the logistic or softmax function where the task is one of classes;
    one that is the `log` of the answer, its exponential.
    """
    from onnx import TensorProto, helper

    outputs = task.outputs
    last = {"binary": "Sigmoid", "multiclass": "Softmax"}.get(task.kind) if link == "margin" else None
    last = "Exp" if link == "log" else last
    nodes = [
        helper.make_node(
            "TreeEnsembleRegressor",
            ["X"],
            ["grown"],
            name="trees",
            domain="ai.onnx.ml",
            n_targets=outputs,
            aggregate_function="SUM",
            post_transform="NONE",
            **_attributes(trees),
        ),
        # Added last: float32 sums of trees keep more digits where they lie around zero.
        helper.make_node("Add", ["grown", "base"], ["margin" if last else "score"], name="from_base"),
    ]
    if last:
        nodes.append(helper.make_node(last, ["margin"], ["score"], name="probability"))
    graph = helper.make_graph(
        nodes,
        "trees",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, ["rows", features])],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["rows", outputs])],
        initializer=[helper.make_tensor("base", TensorProto.FLOAT, [1, outputs], list(base))],
    )
    opsets = [helper.make_opsetid(domain, version) for domain, version in sorted(OPSETS.items())]
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)


def tree_sum(trees: Sequence[Tree], task: Task, base: Sequence[float], link: TreeLink) -> Additive:
    """Return the sum that the graph of such trees computes before its link."""
    return of_task([GrownTrees(trees)], base, task, link)


def _attributes(trees: Sequence[Tree]) -> dict[str, Any]:
    """Return the attributes of TreeEnsembleRegressor, node by node."""
    rows: list[tuple[int, int, str, int, float, int, int, int]] = []
    leaves: list[tuple[int, int, int, float]] = []
    for number, tree in enumerate(trees):
        _add(number, tree, rows, leaves)
    names = ("treeids", "nodeids", "modes", "featureids", "values", "truenodeids", "falsenodeids")
    columns = [list(column) for column in zip(*rows, strict=True)]
    attributes: dict[str, Any] = {f"nodes_{name}": column for name, column in zip(names, columns, strict=False)}
    attributes["nodes_missing_value_tracks_true"] = columns[-1]
    for name, column in zip(("treeids", "nodeids", "ids", "weights"), zip(*leaves, strict=True), strict=True):
        attributes[f"target_{name}"] = list(column)
    return attributes


def _add(
    number: int,
    tree: Tree,
    rows: list[tuple[int, int, str, int, float, int, int, int]],
    leaves: list[tuple[int, int, int, float]],
) -> None:
    """Append one tree; a split on a set of codes becomes a chain of equalities that share their true branch."""
    places = [0]  # where each node of the tree begins among those of ONNX
    for node in tree:
        places.append(places[-1] + (len(node.at) if isinstance(node, Split) and isinstance(node.at, tuple) else 1))
    for node, place in zip(tree, places, strict=False):
        if isinstance(node, Leaf):
            rows.append((number, place, "LEAF", 0, 0.0, 0, 0, 0))
            leaves += [(number, place, target, value) for target, value in enumerate(node.weights, node.first)]
            continue
        yes, no, missing = places[node.yes], places[node.no], int(node.missing)
        if not isinstance(node.at, tuple):
            rows.append((number, place, "BRANCH_LEQ", node.feature, node.at, yes, no, missing))
            continue
        for step, code in enumerate(node.at, start=1):
            otherwise = place + step if step < len(node.at) else no
            rows.append((number, place + step - 1, "BRANCH_EQ", node.feature, code, yes, otherwise, missing))
