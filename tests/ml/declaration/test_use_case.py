"""The declaration refuses mistakes and says what is allowed."""

from typing import Any

import pytest
from pydantic import ValidationError

from ml.declaration.use_case import UseCaseSpec


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
    assert spec.resolved()["task"] == "binary"
    assert spec.resolved()["metric"] == "roc_auc"


@pytest.mark.parametrize(
    ("task", "family", "metric"), [("multiclass", "logistic", "log_loss"), ("regression", "ridge", "rmse")]
)
def test_the_metric_follows_from_the_task(task: str, family: str, metric: str) -> None:
    spec = UseCaseSpec.model_validate(declaration(task=task, models={family: {}}))

    assert spec.metric == metric
    assert UseCaseSpec.model_validate(spec.resolved()) == spec


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"metric": "rmse"},
            "metric: rmse does not fit the task 'binary'; allowed: roc_auc, average_precision, log_loss, brier",
        ),
        ({"task": "multiclass", "metric": "average_precision"}, "metric: average_precision does not fit the task"),
        (
            {"task": "regression", "models": {"ridge": {}}, "gates": {"roc_auc": {"at_least": 0.7}}},
            "gates: roc_auc does not fit the task 'regression'; allowed: rmse, mae, r2",
        ),
        (
            {"task": "regression"},
            "models: logistic cannot learn the task 'regression'; those that can: .*ridge",
        ),
        ({"models": {"ridge": {}}}, "models: ridge cannot learn the task 'binary'; those that can: .*logistic"),
        ({"task": "ranking"}, "'binary', 'multiclass' or 'regression'"),
    ],
)
def test_what_does_not_fit_the_task_is_refused_with_what_does(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        UseCaseSpec.model_validate(declaration(**change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"models": {"catboots": {}}}, "unknown key 'catboots', did you mean 'catboost'; allowed: .*lightgbm, log"),
        ({"models": {"logistic": {"trials": -1}}}, "greater than or equal to 1"),
        ({"models": {}}, r"no model family is declared; allowed: \[.*'lightgbm', 'logistic', 'mlp'.*\]"),
        ({"tabels": {}}, "unknown key 'tabels', did you mean 'tables'; allowed: audit, description, "),
        ({"relationships": ["rows.a -> other.b"]}, r"'other', which is not declared.*Declared tables: \['rows'\]"),
        (
            {
                "tables": {name: {"source": {"path": "x.csv"}, "key": "id"} for name in ("rows", "ports")},
                "relationships": ["rows.a -> ports.id", "rows.b -> ports.id"],
            },
            "lead from 'rows' to 'ports' twice; declare 'ports' again under another name",
        ),
        (
            {"tables": {"rows": {"source": {"path": "x.csv"}, "key": "id", "time": "at", "computed": {"at": "id"}}}},
            r"\['at'\] are computed, but time and known_at must be columns of the source",
        ),
        (
            {
                "tables": {
                    "rows": {
                        "source": {"path": "x"},
                        "key": "id",
                        "computed": {"c": "v - avg(v) over (partition by g)"},
                    }
                }
            },
            r"tables\.rows\.computed\n.*has a window function, but an expression sees its own row alone",
        ),
        (
            {"tables": {"rows": {"source": {"path": "x"}, "key": "id", "computed": {"c": "current_date - seen"}}}},
            r"tables\.rows\.computed\n.*says current_date, which differs from run to run",
        ),
        ({"score": {"where": "random() > 0.5"}}, r"score\.where\n.*calls random\(\), whose value is not of the data"),
        ({"score": {"where": "a = 1; drop table rows"}}, r"score\.where\n.*is no SQL expression"),
        ({"relationships": ["rows"]}, r"reads `table\.column -> table\.column`"),
        ({"tables": {"rows": {"source": {}, "key": "id"}}}, "exactly one of python, path, glob or query"),
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


def test_every_mistake_is_reported_at_its_own_place() -> None:
    wrong = declaration(models={"logistic": {"trails": 3}, "forest": {}}, seed=-1)

    with pytest.raises(ValidationError) as refused:
        UseCaseSpec.model_validate(wrong)

    assert [error["loc"] for error in refused.value.errors()] == [
        ("seed",),
        ("models", "logistic", "trails"),
        ("models", "forest"),
    ]


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        (
            {"query": "select 1", "url": "postgresql+psycopg2://me:s3cret@host:5432/db"},
            "postgresql+psycopg2://***@host:5432/db",
        ),
        ({"query": "select 1", "url": "postgresql://me:s3/cret@host/db"}, "postgresql://***@host/db"),
        (
            {"query": "select 1", "url": "postgresql://host/db?user=me&password=s3cret"},
            "postgresql://host/db?user=***&password=***",
        ),
        ({"path": "https://me:s3cret@host/rows.csv"}, "https://***@host/rows.csv"),
        ({"path": "https://t0ken@host/rows.csv"}, "https://***@host/rows.csv"),
        ({"path": "https://host/rows.csv?sig=s3cret"}, "https://host/rows.csv?sig=***"),
        ({"path": "data/who?=me@home.csv"}, "data/who?=me@home.csv"),
        ({"path": "s3://bucket/rows.csv"}, "s3://bucket/rows.csv"),
    ],
)
def test_the_config_coordinate_holds_no_secret(source: dict[str, str], shown: str) -> None:
    spec = UseCaseSpec.model_validate(declaration(tables={"rows": {"source": source, "key": "id"}}))

    resolved = spec.resolved()["tables"]["rows"]["source"]

    assert shown in resolved.values()
    declared = spec.tables["rows"].source
    assert declared.model_dump().items() >= source.items()
