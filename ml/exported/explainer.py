"""The explainer that an exported model carries: rows of training, and its answer as a sum, if it is one."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import accumulate

import msgspec
import numpy as np

from ml.models.additive import Additive, GrownTrees, WeightedColumns, additive_of
from ml.models.family import FittedModel
from ml.models.joined import FittedTargets
from ml.models.trees.graph import Leaf, Split, Tree
from ml.tasks.task import Task
from service.explain import linear, trees
from service.explain.document import KEY, Carried, Linear, Sum, Trees, pack

__all__ = ["KEY", "ROWS", "explainer"]

_log = logging.getLogger(__name__)
ROWS = 100  # of the background
TOLERANCE = 1e-5  # by which answers of sums may differ from those of the exported model, of their unit


def explainer(model: FittedModel, task: Task, background: np.ndarray, answers: np.ndarray) -> str:
    """Return what an exported model is to carry under KEY.

    The background float32 [n_rows, n_features] is encoded, and has these `answers` of the exported model. A sum that
    does not come to them is left out, and its answer counts as no sum.
    """
    if task.targets:
        models = list(model.models.values()) if isinstance(model, FittedTargets) else [None] * len(task.targets)
        parts = zip(models, answers.T, strict=True)
    else:
        parts = zip([model], [answers], strict=True)
    unit = task.unit(answers)
    sums = [_checked(additive_of(part), background, expected, unit) for part, expected in parts]
    content = msgspec.json.encode(Carried(len(background), pack(background.astype(np.float32)), sums))
    return content.decode()


def _checked(additive: Additive | None, X: np.ndarray, answers: np.ndarray, unit: float) -> Sum | None:
    """Return a sum as the service reads it; None where there is none, or it does not come to the answers."""
    described = None if additive is None else _described(additive)
    if additive is None or described is None:
        return None
    outputs, columns = range(len(described.base)), np.arange(X.shape[1])
    terms = [
        linear.WeightedColumns(term, columns) if isinstance(term, Linear) else trees.GrownTrees(term, columns)
        for term in described.terms
    ]
    added = [[term.values(X, output) for output in outputs] for term in terms]
    sums = np.sum(added, axis=0).T + described.base
    difference = float(np.max(np.abs(additive.answer(sums) - answers), initial=0.0))
    if difference <= TOLERANCE * unit:
        return described
    _log.warning("the sum of %s misses the answer by %.3g; it is explained by samples", additive.space, difference)
    return None


def _described(additive: Additive) -> Sum | None:
    """Return a sum as the service reads it; None for trees that it cannot hold."""
    terms: list[Trees | Linear] = []
    for term in additive.terms:
        if isinstance(term, GrownTrees):
            terms.append(_trees(term))
        else:
            terms.append(_linear(term))
    return Sum(additive.space, list(additive.base), terms)


def _linear(term: WeightedColumns) -> Linear:
    doubles = (np.asarray(numbers, np.float64) for numbers in (term.fill, term.weights, term.levels))
    fill, weights, levels = map(pack, doubles)
    return Linear(len(term.weights), fill, weights, list(term.sizes), levels)


def _trees(term: GrownTrees) -> Trees:
    """Return trees in the form of the service, node by node."""
    starts = [0, *accumulate(map(len, term.trees))][:-1]
    leaves = [node for tree in term.trees for node in tree if isinstance(node, Leaf)]
    splits = [node for tree in term.trees for node in tree if isinstance(node, Split)]
    distinct = dict.fromkeys(split.at for split in splits if isinstance(split.at, tuple))
    groups = {codes: place for place, codes in enumerate(distinct)}
    width = max(len(leaf.weights) for leaf in leaves)
    weights = np.zeros((len(leaves), width), np.float32)
    for row, leaf in zip(weights, leaves, strict=True):
        row[: len(leaf.weights)] = leaf.weights
    sets, columns = _bits(list(groups)), _nodes(term.trees, starts, groups)
    packed = {
        name: pack(np.array(column, kind))
        for (name, kind), column in zip(_COLUMNS.items(), zip(*columns, strict=True), strict=True)
    }
    return Trees(
        scale=term.scale,
        width=width,
        set_bytes=sets.shape[1],
        roots=pack(np.array(starts, np.int32)),
        weights=pack(weights),
        first=pack(np.array([leaf.first for leaf in leaves], np.int32)),
        sets=pack(sets),
        **packed,
    )


_COLUMNS = {
    "feature": np.int32,
    "at": np.float32,
    "group": np.int32,
    "yes": np.int32,
    "no": np.int32,
    "missing": np.bool_,
}
Node = tuple[int, float, int, int, int, bool]


def _nodes(grown: Sequence[Tree], starts: Sequence[int], groups: dict[tuple[float, ...], int]) -> list[Node]:
    """Return the columns of the nodes, in the order of `_COLUMNS`."""
    nodes: list[Node] = []
    leaves = 0
    for tree, start in zip(grown, starts, strict=True):
        for node in tree:
            if isinstance(node, Leaf):
                nodes.append((-1, 0.0, -1, leaves, 0, False))
                leaves += 1
            else:
                at, group = (0.0, groups[node.at]) if isinstance(node.at, tuple) else (node.at, -1)
                nodes.append((node.feature, at, group, start + node.yes, start + node.no, node.missing))
    return nodes


def _bits(sets: Sequence[tuple[float, ...]]) -> np.ndarray:
    """Return sets of codes as bits, uint8 [n_sets, bytes]."""
    most = max((int(code) for codes in sets for code in codes), default=0)
    members = np.zeros((len(sets), 8 * (max(most, 0) // 8 + 1)), np.bool_)
    for row, codes in zip(members, sets, strict=True):
        row[[int(code) for code in codes if code >= 0]] = True
    return np.packbits(members, axis=1, bitorder="little")
