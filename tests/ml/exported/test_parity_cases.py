"""A user's own model whose conversion changes its answers is refused with its name, the case and the difference."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ml.exported.onnx import Parity, ParityError, export, measure_parity
from ml.exported.parity_cases import FAR, parity_cases
from ml.models.catalogue import family
from ml.models.family import Training
from ml.tasks.encoding import Encoder
from ml.tasks.task import Kind, Task
from tests.support import toy

REAL, GAPS, APART = "real rows", "some values missing or unseen", "beside thresholds"


def frame(gaps: float) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(
        {"a": rng.normal(size=400), "b": rng.normal(size=400), "k": rng.choice([*"uvwx"], 400).astype(object)}
    )
    score = rows["a"] + (rows["k"].isin(["u", "w"])) + rows["b"] ** 2 + rng.normal(0, 0.5, 400)
    rows["y"], rows["t"] = (score > 1).astype("int8"), np.exp(score / 4)
    for name in ("b", "k"):
        rows.loc[rng.random(400) < gaps, name] = None
    return rows


def parity(name: str, kind: Kind = "binary", gaps: float = 0.0) -> Parity:
    """The parity of a family of tests/support/own_models.py, on rows that it learned from and on others."""
    rows, task = frame(gaps), Task(kind)
    train, valid = rows[:300], rows[300:]
    encoder = Encoder.fit(train, ["a", "b"], ["k"])
    X, X_valid = encoder.encode(train), encoder.encode(valid)
    y, y_valid = (task.labels(part["t" if kind == "regression" else "y"]) for part in (train, valid))
    reference = f"tests.support.own_models:{name}"
    chosen = family(reference)
    model = chosen.fit(Training(X, y, X_valid, y_valid, encoder, task), chosen.defaults(), seed=0)
    content = export(model, encoder, {"sextant.family": reference}, task)
    return measure_parity(model, encoder, content, pd.concat([valid, train]))


def drifting(measured: Parity) -> dict[str, float]:
    return {case: value for case, value in measured.cases.items() if not value <= measured.tolerance}


SURPRISES: Mapping[str, tuple[str, dict[str, Any]]] = {
    "Categories": (REAL, {}),
    "Link": (REAL, {"kind": "regression"}),
    "ScaledTrees": (REAL, {}),
    "Forest": (GAPS, {}),
    "Isotonic": (REAL, {}),
    "CalibratedPipeline": (REAL, {}),
    "Discriminant": (REAL, {}),
    "Neighbours": (REAL, {}),
    "Indicator": (REAL, {"gaps": 0.1}),
    "Power": (GAPS, {}),
    "Clipped": ("numbers out of range", {}),
    "Largest": (REAL, {}),
    "Ordinal": ("categories missing", {"gaps": 0.1}),
    "Target": ("categories missing", {"gaps": 0.1}),
    "TunedThreshold": (REAL, {}),
    "Averaged": (REAL, {}),
    "Steep": (REAL, {}),
    "Rooted": (REAL, {"kind": "regression"}),
    "Rounded": (APART, {}),
    "Maximum": (GAPS, {}),
    "OfTheBatch": ("one row alone", {}),
    "LinkInTheTrees": (REAL, {}),
}


@pytest.mark.parametrize("name", SURPRISES)
def test_a_conversion_that_changes_answers_is_refused_with_name_case_and_difference(name: str) -> None:
    case, how = SURPRISES[name]

    measured = parity(name, **how)

    assert case in drifting(measured)
    with pytest.raises(ParityError, match=rf"own_models:{name} differs from the native one by \d.* {case!r}.*"):
        measured.raise_for_drift()


def test_a_conversion_that_is_exact_is_not_refused() -> None:
    measured = parity("Exact", gaps=0.1)

    measured.raise_for_drift()
    assert drifting(measured) == {}


@pytest.mark.parametrize(
    ("name", "case"), [("Forest", REAL), ("Power", REAL), ("Clipped", GAPS), ("Rounded", REAL), ("OfTheBatch", GAPS)]
)
def test_only_the_rows_of_their_case_show_it(name: str, case: str) -> None:
    assert case not in drifting(parity(name))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Bare", rf"the native tests\.support\.own_models:Bare cannot answer the case '{GAPS}': Input X contains NaN"),
        ("OfOneSize", r"the ONNX model of tests\.support\.own_models:OfOneSize cannot answer the case 'real rows': "),
    ],
)
def test_a_model_that_cannot_answer_is_refused_with_its_name_and_the_case(name: str, message: str) -> None:
    with pytest.raises(ParityError, match=message):
        parity(name)


def test_numbers_are_out_of_range_on_both_sides_and_within_reach() -> None:
    rows = pd.DataFrame({"a": np.linspace(10, 20, 60), "empty": np.nan, "same": 7.0, "missing": [None, 1.0, 3.0] * 20})
    model: Any = toy.Weighing(0.5)

    moved = parity_cases(model, Encoder.fit(rows, list(rows), []), rows)["numbers out of range"]

    assert 10 - 10 * FAR <= moved["a"].min() < 10 < 20 < moved["a"].max() <= 20 + 10 * FAR
    assert moved["a"].between(10, 20).any()
    assert moved["same"].min() < 7 < moved["same"].max()
    assert moved["empty"].nunique() > 1
    assert moved["missing"].isna().any()


def test_the_worst_case_comes_first_and_one_that_is_no_number_before_all() -> None:
    measured = Parity(9, 1e-5, {"a": 0.1, "b": 1e-7, "c": 0.3, "d": float("nan")}, (), "own")

    with pytest.raises(ParityError, match=r"by nan in the case 'd', in 'c' by 0.3, in 'a' by 0.1 \(9 rows\)"):
        measured.raise_for_drift()
