"""Rows on which conversions go wrong: values missing, unseen or out of range, and numbers beside thresholds."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from ml.models.family import FittedModel, thresholds_of
from ml.tasks.encoding import Encoder

UNSEEN = "\x00never seen"
FAR = 0.5  # how far numbers go beyond the range of their column, as a share of its width


def parity_cases(model: FittedModel, encoder: Encoder, frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return rows like those of a feature frame, by what was done to them."""
    numeric, categorical = list(encoder.numeric), list(encoder.categories)
    texts = [vocabulary.column for vocabulary in encoder.texts]
    cases = {"some values missing or unseen": _here_and_there(frame, numeric, [*categorical, *texts])}
    if numeric:
        cases["numbers missing"] = frame.assign(**dict.fromkeys(numeric, np.nan))
        cases["beside thresholds"] = _beside_thresholds(model, encoder, frame)
        cases["numbers out of range"] = _out_of_range(encoder, frame)
        cases["beside thresholds, some values missing or unseen"] = _here_and_there(
            cases["beside thresholds"], numeric, categorical
        )
    if texts:
        cases["texts missing"] = frame.assign(**dict.fromkeys(texts, None))
        cases["texts unseen"] = frame.assign(**dict.fromkeys(texts, UNSEEN))
    if categorical:
        cases["categories missing"] = frame.assign(**dict.fromkeys(categorical, None))
        cases["categories unseen"] = frame.assign(**dict.fromkeys(categorical, UNSEEN))
    return cases


def _here_and_there(frame: pd.DataFrame, numeric: Sequence[str], categorical: Sequence[str]) -> pd.DataFrame:
    """Return each column with a sixth of its values missing and, of categories and texts, another sixth never seen."""
    rng = np.random.default_rng(0)
    columns: Mapping[str, pd.Series] = {name: frame[name] for name in (*numeric, *categorical)}
    places = {name: rng.random(len(frame)) for name in columns}
    changed = {name: column.mask(places[name] < 1 / 6) for name, column in columns.items() if name in numeric}
    for name in categorical:
        missing = columns[name].astype(object).mask(places[name] < 1 / 6, None)
        changed[name] = missing.mask(places[name] > 5 / 6, UNSEEN)
    return frame.assign(**changed)


def _beside_thresholds(model: FittedModel, encoder: Encoder, frame: pd.DataFrame) -> pd.DataFrame:
    """Return each number replaced by one at, just below or just above a value at which the model's answer may jump."""
    rng = np.random.default_rng(0)
    thresholds = thresholds_of(model)
    columns = {}
    for position, name in enumerate(encoder.numeric):
        values = thresholds.get(position, frame[name].to_numpy(dtype=np.float32, na_value=np.nan))
        at = rng.choice(values, len(frame)).astype(np.float32)
        step = rng.choice([-np.inf, np.nan, np.inf], len(frame)).astype(np.float32)
        columns[name] = np.where(np.isnan(step), at, np.nextafter(at, step))
    return frame.assign(**columns)


def _out_of_range(encoder: Encoder, frame: pd.DataFrame) -> pd.DataFrame:
    """Return each column with a third of its numbers below all of its own, and a third above."""
    rng = np.random.default_rng(0)
    columns = {}
    for name, numbers in zip(encoder.numeric, encoder.encode(frame).T, strict=False):
        finite = numbers[np.isfinite(numbers)].astype(np.float64)
        least, most = (finite.min(), finite.max()) if len(finite) else (0.0, 0.0)
        away = ((most - least) or abs(most) or 1.0) * FAR * rng.random(len(frame))
        columns[name] = np.choose(rng.integers(0, 3, len(frame)), [least - away, numbers, most + away])
    return frame.assign(**columns)
