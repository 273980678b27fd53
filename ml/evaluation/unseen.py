"""Test rows that an earlier model has not learned from, and the comparison with it on these."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from ml.declaration.gate_kinds.champion import ChampionGate
from ml.declaration.use_case import UseCaseSpec
from ml.evaluation.record import compare
from ml.examples.build import make_examples
from ml.tasks.answers import rows_not_finite
from ml.tasks.counting import EQUALLY, Counting


def unseen(use_case: str, earlier: UseCaseSpec, tables: Mapping[str, pa.Table], rows: pd.DataFrame) -> np.ndarray:
    """Mark the `rows` (key and cutoff) that are in neither train nor validation by `earlier`: [n_rows].

    By dates these are the rows from `validate_until` on. At random, what decides is the split that today's tables give,
    in which a few rows next to a border may have changed sides. Raises DataError where it gives none.
    """
    keys = earlier.keys
    names = [*keys, "cutoff"] if earlier.examples.query else keys  # a query asks about the same key at several times

    def learned() -> pd.DataFrame:
        examples: pd.DataFrame = make_examples(use_case, earlier, tables).to_pandas()
        return examples.loc[examples["split"] != "test", names]

    return ~earlier.examples.split.has_seen(rows, learned)


def compare_unseen(
    metric: str,
    rule: ChampionGate,
    seed: int,
    y: np.ndarray,
    candidate: np.ndarray,
    champion: np.ndarray,
    fair: np.ndarray,
    counting: Counting = EQUALLY,
) -> dict[str, Any]:
    """Compare on the `fair` rows [n_rows], those that the champion has not seen, and return the evaluation's fields.

    Where it has seen some, and the others are fewer than the rule wants, the two are incomparable; so they are where it
    does not answer every row with a finite number.
    """
    if wrong := rows_not_finite(champion):
        return {"incomparable": f"it answers {wrong} of the {len(y)} test rows with what is no finite number"}
    seen, left = int((~fair).sum()), int(fair.sum())
    if seen and left < rule.rows:
        return {
            "seen_by_champion": seen,
            "incomparable": f"it has learned from {seen} of the {len(y)} test rows, and the other {left} are fewer "
            f"than the {rule.rows} of gates.champion.rows",
        }
    comparison = compare(
        metric,
        y[fair],
        candidate[fair],
        champion[fair],
        confidence=rule.confidence,
        resamples=rule.resamples,
        seed=seed,
        counting=counting.at(fair),
    )
    return {"seen_by_champion": seen, "comparison": comparison}
