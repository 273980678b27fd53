"""Golden requests are those that the batch path and the service can both answer."""

import pandas as pd
import pyarrow as pa
import pytest

from ml.base.sql import run_sql
from ml.declaration.use_case import UseCaseSpec
from ml.features.define import define_features
from ml.features.golden_requests import golden_rows
from ml.features.matrix import feature_matrix

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize(
    ("expression", "unseen"),
    [("cast(size as double) * 2", {"colour"}), ("try_cast(size as double) * 2", {"colour", "size"})],
)
def test_a_text_of_which_nothing_can_be_computed_is_asked_about_with_texts_that_can(
    expression: str, unseen: set[str]
) -> None:
    declared = {
        "description": "Which?",
        "tables": {
            "rows": {
                "source": {"path": "rows.csv"},
                "key": "id",
                "computed": {"twice": expression},
                "logical_types": {"size": "category"},
            }
        },
        "examples": {"table": "rows", "target": "y", "split": {"validation_share": 0.2, "test_share": 0.2}},
        "models": {"logistic": {}},
    }
    spec = UseCaseSpec.model_validate(declared)
    columns = {"id": range(60), "size": [f"{n % 7}.5" for n in range(60)], "colour": ["a", "b"] * 30}
    source = pa.table({**columns, "y": [n % 2 == 0 for n in range(60)]})
    tables = {"rows": run_sql("rows", f"select *, {expression} as twice from source", source=source)}
    definitions = define_features("case", spec, tables)
    scored = pd.DataFrame({"id": range(60), "cutoff": pd.NaT})

    golden, cutoffs = golden_rows(spec, definitions, tables["rows"], scored, 5)

    assert {name for name in ("size", "colour") if "never seen" in golden[name].to_pylist()} == unseen
    assert None in golden["size"].to_pylist()
    assert len(feature_matrix(spec, definitions, tables, cutoffs, golden)) == len(golden)
