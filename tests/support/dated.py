"""A use case that takes seconds, split by dates, with slices; and the home in which its version 1 is champion."""

from typing import Any

import dagster as dg
import numpy as np
import pandas as pd

from tests.support.small import Small

PRODUCTION = "production_model"
OTHER: dict[str, Any] = {"models": {"logistic": {"trials": 2}}}  # a candidate that is not the champion


def frame(flipped: str | None = None) -> pd.DataFrame:
    """600 rows over 60 days; `y` follows `x` in both groups, but not in the training rows of a flipped one."""
    random = np.random.default_rng(0)
    y, group = random.integers(0, 2, 600), np.where(np.arange(600) % 3 == 0, "b", "a")
    x = (y + random.normal(scale=0.7, size=600)).round(3)
    at = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(600) / 10, unit="D")
    learned = y.copy()
    if flipped:
        wrong = (group == flipped) & (at < "2024-01-31")
        learned[wrong] = 1 - y[wrong]
    columns = {"id": range(600), "at": at, "x_a": np.where(group == "a", x, 0), "x_b": np.where(group == "b", x, 0)}
    return pd.DataFrame({**columns, "g": group, "y": learned})


class Dated(Small):
    """As `small`, split by dates, with two declared slices."""

    def declared(self, **changes: Any) -> dict[str, Any]:
        return {
            "description": "Which?",
            "tables": {"rows": {"source": {"path": str(self.rows)}, "key": "id", "time": "at"}},
            "examples": {
                "table": "rows",
                "cutoff": "at",
                "target": "y = 1",
                "split": {"train_until": "2024-01-21", "validate_until": "2024-01-31"},
            },
            "models": {"logistic": {"trials": 1}},
            "gates": {"champion": {"not_worse_by": 1.0}, "slices": {"rows": 50}, "calibration": {"at_most": 0.5}},
            "evaluation": {
                "slices": ["g"],
                "resamples": 100,
                "worst_slices": 0,
                "importance_rows": 50,
                "shap_rows": 10,
            },
            **changes,
        }

    def use(self, rows: pd.DataFrame) -> None:
        """Another content of the file."""
        rows.to_csv(self.rows, index=False)

    def retrain(self, **changes: Any) -> dg.ExecuteInProcessResult:
        return self.attempt(PRODUCTION, upstream=True, **changes)
