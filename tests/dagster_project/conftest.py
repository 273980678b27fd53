"""A use case that takes seconds, over a file that a test may change."""

from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from assets.step import Case
from assets.use_case import all_assets
from dagster_project.components import UseCase
from dagster_project.definitions import PINNED, resources
from resources.ledger import Ledger


class Small:
    """The use case `small` over `rows`, a CSV file, in the Sextant home `home`."""

    def __init__(self, home: Path, rows: Path) -> None:
        self.home, self.rows = home, rows

    def declared(self, **changes: Any) -> dict[str, Any]:
        return {
            "description": "Which?",
            "tables": {"rows": {"source": {"path": str(self.rows)}, "key": "id"}},
            "examples": {"table": "rows", "target": "y = 1", "split": {"validation_share": 0.2, "test_share": 0.2}},
            "models": {"logistic": {"trials": 1}},
            "gates": {"champion": {"not_worse_by": 1.0}},
            **changes,
        }

    def materialize(self, until: str = "predictions", **changes: Any) -> str:
        """The id of the evaluation after a run."""
        case = Case("small", UseCase.model_validate(self.declared(**changes)))
        selection = dg.AssetSelection.assets(case.key(until)).upstream()
        with dg.DagsterInstance.get() as instance:
            done = dg.materialize(all_assets(case), resources=resources(), instance=instance, selection=selection)
        assert done.success
        return str(Ledger().latest_of("small/evaluation"))


@pytest.fixture
def small(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Small:
    for name, value in PINNED.items():  # runs in this process then have the environment of a reproduction
        monkeypatch.setenv(name, value)
    random = np.random.default_rng(0)
    y = random.integers(0, 2, 300)
    frame = pd.DataFrame({"id": range(300), "x": (y + random.normal(size=300)).round(3), "y": y})
    frame.to_csv(tmp_path / "rows.csv", index=False)
    return Small(home, tmp_path / "rows.csv")
