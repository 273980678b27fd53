"""Rows with three yes-or-no targets, of which features tell something, and declarations that ask for them."""

from typing import Any

import numpy as np
import pandas as pd

from ml.declaration.use_case import UseCaseSpec

TARGETS = ("churn", "upgrade", "complaint")


def frame(rows: int = 400, seed: int = 0) -> pd.DataFrame:
    """Customers, of whom three things are true or not; `fold` divides them, and `region` is a category."""
    random = np.random.default_rng(seed)
    x, z = random.normal(size=rows), random.normal(size=rows)
    churn = (x + random.normal(size=rows) > 0).astype(int)
    return pd.DataFrame(
        {
            "id": range(rows),
            "x": x.round(3),
            "z": z.round(3),
            "region": random.choice(["north", "south"], rows),
            "churn": churn,
            "upgrade": (z + 0.5 * random.normal(size=rows) > 0.5).astype(int),
            "complaint": (x - z + random.normal(size=rows) > 1.5).astype(int),
            "fold": random.choice(["a", "b", "c"], rows, p=[0.5, 0.25, 0.25]),
        }
    )


def declared(target: Any = TARGETS, path: str = "rows.csv", **changes: Any) -> dict[str, Any]:
    """A use case of these rows; where there is one target the others are left out of its features by hand."""
    ignore = ["fold"] if isinstance(target, tuple) else [*TARGETS, "fold"]
    target = list(target) if isinstance(target, tuple) else target
    examples = {
        "table": "rows",
        "target": target,
        "split": {"column": "fold", "train": ["a"], "validation": ["b"], "test": ["c"]},
        **changes.pop("examples", {}),
    }
    return {
        "description": "What will they do?",
        "tables": {"rows": {"source": {"path": path}, "key": "id", "ignore": ignore}},
        "examples": examples,
        "models": {"logistic": {"trials": 2}},
        "evaluation": {"resamples": 50, "importance_rows": 50, "shap_rows": 10, "worst_slices": 0},
        "gates": {"champion": {"not_worse_by": 1.0, "rows": 2}, "calibration": "off"},
        **changes,
    }


def spec(target: Any = TARGETS, **changes: Any) -> UseCaseSpec:
    """The declaration, read."""
    return UseCaseSpec.model_validate(declared(target, **changes))
