"""The declaration refuses mistakes and says what is allowed."""

from typing import Any

import pytest
from pydantic import ValidationError

from ml.spec import UseCaseSpec


def declaration(**changes: Any) -> dict[str, Any]:
    return {
        "description": "Which?",
        "tables": {"rows": {"source": {"path": "rows.csv"}, "key": "id"}},
        "examples": {"table": "rows", "target": "y", "split": {"validation_share": 0.2, "test_share": 0.2}},
        "models": {"logistic": {}},
    } | changes


def test_a_short_declaration_has_defaults() -> None:
    spec = UseCaseSpec.model_validate(declaration())

    assert spec.models.families["logistic"].trials == 5
    assert spec.resolved()["metric"] == "roc_auc"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"models": {"catboost": {}}}, "catboost"),
        ({"models": {"logistic": {"trials": -1}}}, "greater than or equal to 1"),
        ({"models": {}}, r"no model family is declared; allowed: \['lightgbm', 'logistic', 'mlp'\]"),
        ({"tabels": {}}, "tabels"),
        ({"relationships": ["rows.a -> other.b"]}, r"'other', which is not declared.*Declared tables: \['rows'\]"),
        ({"relationships": ["rows"]}, r"reads `table\.column -> table\.column`"),
        ({"tables": {"rows": {"source": {}, "key": "id"}}}, "exactly one of python, path or query"),
        (
            {"examples": {"table": "rows", "target": "y", "split": {"test_share": 0.2}}},
            "train_until and validate_until, or validation_share and test_share",
        ),
        (
            {
                "examples": {
                    "table": "rows",
                    "target": "y",
                    "split": {"train_until": "2024-01-01", "validate_until": "2024-02-01"},
                }
            },
            "a split by dates needs examples.cutoff",
        ),
    ],
)
def test_a_mistake_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        UseCaseSpec.model_validate(declaration(**change))
