"""Several targets of one use case: the columns that hold them, each of them alone, and rows in strata by all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

TARGET = "target"  # the column of examples and feature matrices, of each of several targets with its name behind
NAME = r"[A-Za-z_][A-Za-z0-9_]{0,99}"  # a part of names of files and of figures, of which MLflow takes 250 characters


def target_column(name: str) -> str:
    """Return the column of examples and feature matrices that holds one of several targets."""
    return f"{TARGET} {name}"


def target_name(column: str) -> str:
    """Return the name of the target that a column holds; an empty text for the only one."""
    return column.removeprefix(TARGET).lstrip()


def of_target(name: str, target: str) -> str:
    """Return the name of a figure that says of which of several targets it is; `target` is empty of the only one."""
    return f"{name} of {target}" if target else name


def with_alone(rows: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return rows of several targets with this one as their `target`, as if it were the only one."""
    return rows.rename(columns={target_column(name): TARGET})


def strata(y: np.ndarray) -> np.ndarray:
    """Return the stratum of each row of labels 0 and 1, [n_rows, n_targets]: the rarest class of a target that it has.

    Each target has a rarer class. They are numbered from the rarest on: 1 and so forth where that is yes, -1 and so
    forth where it is no; 0 is a row without any. So those of one target are its classes, in their order.
    """
    yes = y.sum(axis=0, dtype=np.int64)
    no = len(y) - yes
    rarest_first = np.argsort(np.minimum(yes, no), kind="stable")
    is_yes = (yes <= no)[rarest_first]
    rare = (y[:, rarest_first] == 1) == is_yes
    first = rare.argmax(axis=1)
    codes: np.ndarray = np.where(rare.any(axis=1), np.where(is_yes[first], first + 1, -1 - first), 0)
    return codes
