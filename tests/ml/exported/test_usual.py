"""What was usual of a record's columns in training."""

import numpy as np
import pandas as pd
import pytest

from ml.exported.usual import usual_columns
from ml.features.definitions import Feature


def test_numbers_have_a_range_and_all_columns_a_share_of_missing_values() -> None:
    rows = pd.DataFrame(
        {
            "miles": [10.5, np.nan, -3.0, np.inf],
            "jet": pd.array([True, False, True, None], dtype="boolean"),
            "carrier": ["UA", None, None, "DL"],
            "empty": [None] * 4,
            "HOUR(t)": [1.0, 2.0, 3.0, 4.0],
        }
    )
    features = [
        Feature(name="miles", kind="column", type="numeric", column="distance"),
        Feature(name="jet", kind="column", type="numeric", column="jet"),
        Feature(name="carrier", kind="column", type="categorical", column="carrier"),
        Feature(name="empty", kind="column", type="numeric", column="empty"),
        Feature(name="HOUR(t)", kind="calendar", type="numeric", column="t", primitive="hour"),
        Feature(name="dropped", kind="column", type="numeric", column="dropped"),
    ]

    assert usual_columns(rows, features) == {
        "distance": {"missing": 0.25, "lowest": -3.0, "highest": 10.5},
        "jet": {"missing": 0.25, "lowest": 0.0, "highest": 1.0},
        "carrier": {"missing": 0.5},
        "empty": {"missing": 1.0},
    }


@pytest.mark.parametrize("dtype", ["int64", "Int64", "float32", "boolean", "category"])
def test_whatever_the_type_the_range_is_of_numbers(dtype: str) -> None:
    rows = pd.DataFrame({"x": pd.Series([0, 1, 1]).astype(dtype)})

    (usual,) = usual_columns(rows, [Feature(name="x", kind="column", type="numeric", column="x")]).values()

    assert usual == {"missing": 0.0, "lowest": 0.0, "highest": 1.0}
