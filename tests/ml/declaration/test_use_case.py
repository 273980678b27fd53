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


TIMED = {"source": {"path": "x"}, "key": "id", "time": "at"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"models": {"catboots": {}}}, "unknown key 'catboots', did you mean 'catboost'; allowed: .*lightgbm, log"),
        ({"models": {"logistic": {"trials": -1}}}, "greater than or equal to 1"),
        ({"models": {}}, r"no model family is declared; allowed: \[.*'lightgbm', 'logistic', 'mlp'.*\]"),
        ({"tabels": {}}, "unknown key 'tabels', did you mean 'tables'; allowed: audit, bento, description, "),
        ({"relationships": ["rows.a -> other.b"]}, r"'other', which is not declared.*Declared tables: \['rows'\]"),
        (
            {
                "tables": {name: {"source": {"path": "x.csv"}, "key": "id"} for name in ("rows", "ports")},
                "relationships": ["rows.a -> ports.id", "rows.b -> ports.id"],
            },
            "lead from 'rows' to 'ports' twice; declare 'ports' again under another name",
        ),
        (
            {"tables": {"rows": {"source": {"path": "x"}, "key": "id", "known_at": "at", "computed": {"at": "id"}}}},
            r"\['at'\] are computed, but known_at must name columns of the source",
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
        (
            {"tables": {"rows": {"source": {"path": "x"}, "key": "id", "heard_within": "2h"}}},
            r"\['heard_within'\] are about rows that come in time: declare the time of a row, or known_at",
        ),
        (
            {"tables": {"rows": {**TIMED, "heard_within": "2h", "not_ready_after": "1h"}}},
            "not_ready_after '1h' is shorter than heard_within '2h'",
        ),
        ({"tables": {"rows": {**TIMED, "timezone": "Mars/Olympus"}}}, "'Mars/Olympus' is no time zone: write one as"),
        ({"tables": {"rows": {**TIMED, "heard_within": "soon"}}}, "'soon' is not a duration"),
        ({"score": {"where": "random() > 0.5"}}, r"score\.where\n.*calls random\(\), whose value is not of the data"),
        ({"score": {"where": "a = 1; drop table rows"}}, r"score\.where\n.*is no SQL expression"),
        ({"tables": {"größe": {"source": {"path": "x"}, "key": "id"}}}, r"\['größe'\] are no names of tables"),
        ({"relationships": ["rows"]}, r"reads `table\.column -> table\.column`"),
        (
            {"tables": {"rows": {"source": {}, "key": "id"}}},
            "exactly one of python, path, glob, query, delta or iceberg",
        ),
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


def test_what_tuning_and_gates_go_by_is_measured_and_what_is_usual_is_not_named() -> None:
    own = "not_there.yet:profit"
    gates = {"kappa": {"at_least": 0.1}, "accuracy": {"at_least": 0.1}, own: {"at_least": 1}}
    plausible = {"limits": {"fbeta_2": 0.9}, "because": "nobody knows better"}
    plan = {"metrics": ["precision_at_100", "brier"]}

    spec = UseCaseSpec.model_validate(
        declaration(metric="mcc", gates={**gates, "plausible": plausible}, evaluation=plan)
    )

    assert spec.evaluation.metrics == ["fbeta_2", "kappa", "mcc", own, "precision_at_100"]
    assert UseCaseSpec.model_validate(spec.resolved()) == spec
    assert set(spec.gates.bounds) == set(gates)


def test_a_declaration_without_further_metrics_is_recorded_as_ever() -> None:
    resolved = UseCaseSpec.model_validate(declaration(evaluation={"metrics": ["brier"]})).resolved()

    assert "metrics" not in resolved["evaluation"]
    assert not {"mcc", "kappa", "balanced_accuracy", "mape", "rmsle"} & resolved["gates"].keys()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metric": "pinball_0.5"}, "metric: pinball_0.5 does not fit the task 'binary'"),
        ({"gates": {"top_3_accuracy": {"at_least": 0.1}}}, "gates: top_3_accuracy does not fit the task 'binary'"),
        ({"evaluation": {"metrics": ["mape"]}}, "evaluation.metrics: mape does not fit the task 'binary'"),
        ({"metric": "top_1_accuracy"}, "top_…_accuracy takes a whole number from 2 on"),
        ({"metric": "f1"}, "There is no metric 'f1'"),
    ],
)
def test_a_metric_that_does_not_fit_is_refused_wherever_it_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        UseCaseSpec.model_validate(declaration(**change))


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"metric": "ndcg_at_10"}, "metric: ndcg_at_10"),
        ({"gates": {"map_at_5": {"at_least": 0.1}}}, "gates: map_at_5"),
        ({"evaluation": {"metrics": ["mrr_at_3"]}}, "evaluation.metrics: mrr_at_3"),
        (
            {"gates": {"plausible": {"limits": {"ndcg_at_3": 1}, "because": "all are known"}}},
            "gates.plausible.limits: ndcg_at_3",
        ),
    ],
)
def test_a_metric_of_groups_asks_for_their_column(change: dict[str, Any], where: str) -> None:
    ranked = {"examples": {**declaration()["examples"], "ranked_within": "query"}}

    with pytest.raises(ValidationError, match=rf"{where} ranks rows within groups: name their column, .*ranked_within"):
        UseCaseSpec.model_validate(declaration(**change))
    assert UseCaseSpec.model_validate(declaration(**change, **ranked)).kept_whole == "query"


def test_a_check_of_lists_is_only_warned_of_where_there_is_one() -> None:
    ranked = {**declaration()["examples"], "ranked_within": "session"}
    warned = {"audit": {"warn": ["no_ranked_group_in_two_splits"]}}
    apart = {**ranked, "split": {**ranked["split"], "group": "user"}}

    for examples in (declaration()["examples"], ranked):
        with pytest.raises(ValidationError, match=r"no_ranked_group_in_two_splits needs examples\.ranked_within"):
            UseCaseSpec.model_validate(declaration(**warned, examples=examples))
    assert UseCaseSpec.model_validate(declaration(**warned, examples=apart)).kept_whole == "user"


def test_a_ranking_within_groups_is_of_two_classes_or_numbers() -> None:
    ranked = {"examples": {**declaration()["examples"], "ranked_within": "query"}}

    with pytest.raises(ValidationError, match="ndcg_at_3 does not fit the task 'multiclass'"):
        UseCaseSpec.model_validate(declaration(**ranked, task="multiclass", metric="ndcg_at_3"))
    assert "ranked_within" not in UseCaseSpec.model_validate(declaration()).resolved()["examples"]


def test_classes_are_balanced_and_numbers_are_not() -> None:
    split = {"validation_share": 0.2, "test_share": 0.2}
    examples = {"table": "rows", "target": "y", "split": split, "weights": "balanced"}

    spec = UseCaseSpec.model_validate(declaration(examples=examples))

    assert spec.examples.weight_column is None
    assert spec.resolved()["examples"]["weights"] == "balanced"
    assert "weights" not in UseCaseSpec.model_validate(declaration()).resolved()["examples"]
    with pytest.raises(ValidationError, match=r"examples.weights: balanced is for classes; name a column"):
        UseCaseSpec.model_validate(declaration(task="regression", models={"ridge": {}}, examples=examples))


@pytest.mark.parametrize(
    ("objective", "metric"), [("mae", "mae"), ("quantile_0.9", "pinball_0.9"), ("poisson", "rmse"), (None, "rmse")]
)
def test_the_metric_follows_from_the_objective(objective: str | None, metric: str) -> None:
    numbers = declaration(task="regression", models={"lightgbm": {}}, objective=objective)

    spec = UseCaseSpec.model_validate(numbers)

    assert spec.metric == metric
    assert UseCaseSpec.model_validate(numbers | {"metric": "r2"}).metric == "r2"
    assert ("objective" in spec.resolved()) == (objective is not None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"objective": "mae"}, "objective: mae is for numbers; the task is 'binary'"),
        ({"task": "regression", "models": {"ridge": {}}, "objective": "mea"}, "no objective 'mea', did you mean 'mae'"),
    ],
)
def test_an_objective_that_does_not_fit_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        UseCaseSpec.model_validate(declaration(**change))


def regression(target: str, **changes: Any) -> dict[str, Any]:
    split = {"validation_share": 0.2, "test_share": 0.2}
    examples = {"table": "rows", "target": target, "split": split}
    return declaration(task="regression", models={"lightgbm": {}}, examples=examples, **changes)


@pytest.mark.parametrize("target", ["ln(price)", "log1p(price)", 'sqrt("a b")', "price", "abs(price)", "ln(price) + 0"])
def test_a_target_of_numbers_may_be_transformed(target: str) -> None:
    assert UseCaseSpec.model_validate(regression(target)).examples.target == target


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (regression("ln(1 + price)"), r"ln\(1 \+ price\) is ln of more than a column, .* name that in computed"),
        (regression("log(2, price)"), "is log of more than a column"),
        (regression("sqrt(a * b)"), "is sqrt of more than a column"),
        (regression("log1p(1 + a)"), r"calls log1p\(\), which is no function of DuckDB"),
        (regression("ln(price)", objective="poisson"), "objective: poisson learns logarithms by itself"),
    ],
)
def test_a_transform_without_an_inverse_to_answer_by_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        UseCaseSpec.model_validate(change)


def test_answers_may_be_monotone_but_not_those_of_many_classes() -> None:
    spec = UseCaseSpec.model_validate(declaration(monotone={"x": "increasing"}))

    assert spec.resolved()["monotone"] == {"x": "increasing"}
    assert "monotone" not in UseCaseSpec.model_validate(declaration()).resolved()
    with pytest.raises(ValidationError, match="monotone: of many classes none could rise"):
        UseCaseSpec.model_validate(declaration(task="multiclass", monotone={"x": "decreasing"}))


def several(target: Any, **changes: Any) -> dict[str, Any]:
    """A declaration of several targets."""
    split = {"validation_share": 0.2, "test_share": 0.2}
    return declaration(examples={"table": "rows", "target": target, "split": split}, **changes)


def test_several_targets_are_columns_or_expressions_by_name() -> None:
    columns = UseCaseSpec.model_validate(several(["churn", "order"])).examples
    named = UseCaseSpec.model_validate(several({"churn": "plan = 'none'", "late": "days > 30"})).examples

    assert columns.targets == {"churn": '"churn"', "order": '"order"'}  # as a column may have a name of SQL's own
    assert named.targets == {"churn": "plan = 'none'", "late": "days > 30"}
    assert columns.target_columns == ["target churn", "target order"]
    assert (columns.one_target, named.one_target) == (None, None)


@pytest.mark.parametrize("target", [["churn", "upgrade"], {"churn": "a = 1", "late": "b > 2"}])
def test_a_declaration_of_several_targets_is_recorded_as_it_was_written(target: Any) -> None:
    spec = UseCaseSpec.model_validate(several(target))

    assert spec.resolved()["examples"]["target"] == target
    assert UseCaseSpec.model_validate(spec.resolved()) == spec


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (several(["churn"]), r"\['churn'\] are not several targets: write one as a text, such as target: churned"),
        (several([]), "are not several targets"),
        (several(["churn", "days > 30"]), r"\['days > 30'\] are no names of targets, .* such as {late: days > 30}"),
        (several(["a", False]), r"\[False\] are no texts, .* write them in quotes"),
        (several({True: "a", "b": 0}), r"\[True, 0\] are no texts, .* write them in quotes"),
        (several({"a" * 101: "a", "b": "b"}), r"are no names of targets, of up to 100 letters"),
        (several({"on time": "a", "b": "b"}), r"\['on time'\] are no names of targets"),
        (several({"Ärger": "a", "b": "b"}), r"\['Ärger'\] are no names of targets"),
        (several(["churn", "Churn"]), r"\['Churn', 'churn'\] are targets of one name, but for its case at most"),
        (several({"a": "sum(x) over ()", "b": "b"}), "sees its own row alone"),
        (several({"a": "not an expression", "b": "b"}), "not an expression"),
        (
            several(["a", "b"], task="multiclass"),
            "several targets are for the task 'binary', .* this is 'multiclass': declare a use case for each of a, b",
        ),
        (several(["a", "b"], task="regression", models={"ridge": {}}), "several targets .* this is 'regression'"),
        (
            declaration(examples={"table": "rows", "query": "select 1", "target": {"a": "b", "c": "d"},
                                  "split": {"validation_share": 0.2, "test_share": 0.2}}),
            "Of several targets, target lists the query's columns",
        ),
        (
            several(["a", "b"], tables={"rows": {"source": {"path": "rows.csv"}, "key": "target a"}}),
            "the key 'target a' of 'rows' has the name of a column that every example has",
        ),
    ],
)  # fmt: skip
def test_several_targets_that_could_not_be_answered_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        UseCaseSpec.model_validate(change)


@pytest.mark.parametrize("name", ["example_weight", "Example_Group", "split"])
def test_a_key_has_no_name_of_a_column_that_examples_have(name: str) -> None:
    with pytest.raises(ValidationError, match=f"the key '{name}' of 'rows' has the name of a column that"):
        UseCaseSpec.model_validate(declaration(tables={"rows": {"source": {"path": "rows.csv"}, "key": name}}))
