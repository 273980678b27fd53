"""Use cases whose examples are profiled: columns are given as a frame, the target and the split with them."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from ml.declaration.use_case import UseCaseSpec
from ml.profile.columns import Column, column
from ml.profile.profile import make_profile
from ml.profile.record import Profile
from ml.tasks.task import Kind


def spec_of(kind: Kind = "binary", **changes: Any) -> UseCaseSpec:
    return UseCaseSpec.model_validate(
        {
            "description": "Which?",
            "task": kind,
            "tables": {"rows": {"source": {"path": "rows.csv"}, "key": "id"}},
            "examples": {"table": "rows", "target": "y", "split": {"validation_share": 0.2, "test_share": 0.2}},
            "models": {"lightgbm": {}},
            **changes,
        }
    )


def column_of(values: Any, name: str = "x") -> Column:
    """Return a column of Python's values, None being missing."""
    array = values if isinstance(values, pa.Array) else pa.array(values, from_pandas=True)
    return column(name, "rows", pa.chunked_array([array]))


def examples_of(frame: pd.DataFrame, target: Any, cutoff: Any = None) -> pa.Table:
    """Return the examples of rows with the key `id`: three of five train, one validates, one tests."""
    split = np.array(["train", "validation", "train", "test", "train"])[np.arange(len(frame)) % 5]
    cutoff = pd.Series(pd.NaT, frame.index, dtype="datetime64[us]") if cutoff is None else cutoff
    examples = pd.DataFrame({"id": frame["id"], "cutoff": cutoff, "target": target, "split": split})
    return pa.Table.from_pandas(examples, preserve_index=False)


def table_of(frame: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(frame, preserve_index=False)


def profile_of(frame: pd.DataFrame, target: Any, kind: Kind = "binary", **changes: Any) -> Profile:
    """Return the profile of some columns; the key is added."""
    frame = frame if "id" in frame else frame.assign(id=np.arange(len(frame)))
    return make_profile(spec_of(kind, **changes), {"rows": table_of(frame)}, examples_of(frame, target))


def columns(profile: Profile) -> dict[str, Any]:
    return {column.name: column for column in profile.columns}
