"""A use case whose rows are named by two columns, and happen at a time that is computed, up to its service."""

import pandas as pd
import pytest

from resources.storage import storage
from tests.support.small import Small

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.slow]


def test_rows_of_two_keys_are_predicted_and_served(small: Small) -> None:
    rows = pd.read_csv(small.rows).assign(
        part=["a", "b", "c"] * 100, stamp=lambda frame: 1_700_000_000 + frame.index * 3600
    )
    rows.assign(id=rows["id"] // 3).to_csv(small.rows, index=False, sep=";", decimal=",")
    table = {
        "source": {"path": str(small.rows), "separator": ";", "decimal": ",", "unit": {"stamp": "s"}},
        "key": ["id", "part"],
        "time": "moment",
        "computed": {"moment": "stamp + interval 1 hours"},
        "known_at": {"2h": ["y"]},
    }

    result = small.attempt(
        "predictions",
        "bento",
        upstream=True,
        tables={"rows": table},
        examples={
            "table": "rows",
            "cutoff": "moment",
            "target": "y = 1",
            "split": {"train_until": "2023-11-20", "validate_until": "2023-11-23"},
        },
        features={
            "history": {"table": "rows", "group_by": ["part"], "windows": ["1d"]},
            "calendar": {"moment": ["hour"]},
        },
        evaluation={"resamples": 50, "importance_rows": 50, "shap_rows": 10, "worst_slices": 0, "slices": ["part"]},
        gates={"champion": {"not_worse_by": 1.0, "rows": 2}, "baseline": None},
    )

    assert result.success
    predicted = storage().load(result.output_for_node("small__predictions"))
    assert list(predicted.columns[:3]) == ["id", "part", "cutoff"]
    assert len(predicted[["id", "part"]].drop_duplicates()) == 300
