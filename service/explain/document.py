"""The document that explains a model: rows that stand in for what is unknown, and its answer as a sum.

`ml.exported.explainer` writes it into the model and the service reads it, both by the structs of this module.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.plan.parts import Part

KEY = "sextant.explainer"


class Trees(Part, frozen=True, tag_field="kind", tag="trees"):
    """Trees, each of which adds the numbers of one leaf, times `scale`, to the outputs of a sum.

    The fields below it are packed, with an entry for each node; those of a tree follow each other, from its root on.
    At a split a row goes on at node `yes` if its value in the column `feature` is at most `at`, or a member of the set
    `group`, otherwise at `no`; a missing value goes to `yes` where `missing` says so. At a leaf `feature` is -1, and
    `yes` is its place in `weights`, `width` numbers for each leaf, which are added from the output `first` on. `sets`
    are bits, `set_bytes` bytes for each set.
    """

    scale: float
    width: int
    set_bytes: int
    roots: bytes
    feature: bytes
    at: bytes
    group: bytes
    yes: bytes
    no: bytes
    missing: bytes
    weights: bytes
    first: bytes
    sets: bytes


class Linear(Part, frozen=True, tag_field="kind", tag="linear"):
    """Weights of columns: those of numbers, a missing one being its `fill`, and then those of the codes of categories.

    `weights` float64 [outputs, numbers] and `levels` float64 [outputs, codes] are packed; of each column of codes
    `sizes` has the number of codes. A missing code weighs nothing.
    """

    outputs: int
    fill: bytes
    weights: bytes
    sizes: list[int]
    levels: bytes


class Sum(Part, frozen=True):
    """The numbers of `base`, one for each output, and what the terms add; `space` says what the sum is."""

    space: str
    base: list[float]
    terms: list[Trees | Linear]


class Carried(Part, frozen=True):
    """The background float32 [rows, columns], packed and encoded, and the sum that each of the answers is.

    That is one for the answer, or for each of several targets; None where an answer is no such sum.
    """

    rows: int
    background: bytes
    sums: list[Sum | None]


def pack(array: NDArray[Any]) -> bytes:
    """Return the numbers of an array in few bytes, always the same."""
    return zlib.compress(np.ascontiguousarray(array).tobytes(), 6)


def unpack(content: bytes, kind: Any) -> NDArray[Any]:
    """Return the numbers that were packed, in one dimension."""
    return np.frombuffer(zlib.decompress(content), kind)
