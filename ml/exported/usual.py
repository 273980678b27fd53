"""Usual values: the range of each of a record's columns in training, and how often it was missing."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from ml.features.definitions import Feature

KEY = "sextant.usual"


def usual_columns(rows: pd.DataFrame, features: Iterable[Feature]) -> dict[str, dict[str, Any]]:
    """Return for each column of the record that a feature is the value of, what the learned rows had.

    `missing` is the share of rows without one; numbers and flags have `lowest` and `highest`, unless all are missing.
    """
    described = {}
    for feature in features:
        if feature.kind == "column" and feature.name in rows:
            described[str(feature.column)] = _usual(rows[feature.name], numeric=feature.type == "numeric")
    return described


def _usual(values: pd.Series, *, numeric: bool) -> dict[str, Any]:
    usual: dict[str, Any] = {"missing": float(values.isna().mean())}
    if numeric:
        numbers = values.dropna().to_numpy(dtype=np.float64)
        if len(finite := numbers[np.isfinite(numbers)]):
            usual |= {"lowest": float(finite.min()), "highest": float(finite.max())}
    return usual
