"""Parity is measured on what the model has learned from too: trees split at values of those rows."""

import pandas as pd

from assets.stages.onnx_model import LEARNED_ROWS, parity_rows


def test_parity_is_measured_on_all_validation_rows_and_on_some_of_those_learned_from() -> None:
    learned, held_out = LEARNED_ROWS + 7, 11
    rows = pd.DataFrame({"split": ["train"] * learned + ["validation"] * held_out, "x": range(learned + held_out)})

    measured = parity_rows(rows)

    assert measured["split"].value_counts().to_dict() == {"train": LEARNED_ROWS, "validation": held_out}
    assert measured["x"].is_unique
    assert {0, learned - 1} < set(measured["x"])


def test_few_rows_are_all_measured() -> None:
    rows = pd.DataFrame({"split": ["train", "validation", "train"], "x": [1, 2, 3]})

    assert sorted(parity_rows(rows)["x"]) == [1, 2, 3]
    assert list(parity_rows(rows[:0])["x"]) == []
