"""Features that alone predict the target are found whatever their shape, and good ones are let pass."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from ml.declaration.use_case import UseCaseSpec
from ml.features.audit import ALONE, ROWS, feature_checks, lone_scores, no_feature_alone
from ml.features.definitions import Feature, FeatureDefinitions
from ml.features.identities import TOGETHER, no_identity
from ml.features.leaks import NO_LEAK
from ml.tasks.task import Kind, Task

FAMILY = {"binary": "logistic", "multiclass": "logistic", "regression": "ridge"}


def spec(task: Kind = "binary", *, cutoff: str | None = None, **audit: Any) -> UseCaseSpec:
    return UseCaseSpec.model_validate(
        {
            "description": "Which?",
            "task": task,
            "tables": {"rows": {"source": {"path": "rows.csv"}, "key": "id"}},
            "examples": {
                "table": "rows", "target": "y", "cutoff": cutoff, "split": {"validation_share": 0.2, "test_share": 0.2}
            },
            "models": {FAMILY[task]: {}},
            "audit": audit,
        }
    )  # fmt: skip


def definitions(rows: pd.DataFrame) -> FeatureDefinitions:
    """Every column that is neither key nor target as a feature."""
    features = [
        Feature(name=name, kind="column", type="categorical" if rows[name].dtype == object else "numeric", column=name)
        for name in rows.columns
        if name not in ("id", "target")
    ]
    return FeatureDefinitions(row="", history={}, features=features, lookups={}, record={})


def scores(rows: pd.DataFrame, task: Kind = "binary") -> dict[str, float]:
    return dict(lone_scores(rows, definitions(rows), Task.of(task, rows["target"]), ["id"], 0))


def binary(count: int = 1000, share: float = 0.3, seed: int = 0) -> tuple[pd.DataFrame, np.random.Generator]:
    random = np.random.default_rng(seed)
    return pd.DataFrame({"id": range(count), "target": (random.random(count) < share).astype("int8")}), random


def test_leaks_of_any_shape_are_named_with_their_score_and_the_rest_is_not() -> None:
    rows, random = binary()
    y = rows["target"]
    rows = rows.assign(
        amount=y * 10.0 + random.random(1000),
        backwards=-y.astype(float),
        outside=np.where(y == 1, random.choice([-9.0, 9.0], 1000), random.random(1000)),
        filled=np.where(y == 1, 1.0, np.nan),
        word=np.where(y == 1, "closed", "open").astype(object),
        good=y + random.normal(size=1000),
        noise=random.normal(size=1000),
        infinite=np.where(y == 1, np.inf, -np.inf),
    )

    finding = no_feature_alone(spec(), definitions(rows), rows)

    named = {fault.split(" alone")[0] for fault in finding.faults}
    assert named == {"amount", "backwards", "filled", "infinite", "outside", "word"}
    assert "amount alone reaches roc_auc 1.0000 on 1,000 training rows, allowed: 0.99; " in finding.reason
    assert {row["feature"]: row["rows"] for row in finding.table}["filled"] == f"{int(y.sum()):,}"


def test_the_order_of_a_number_counts_as_scikit_learn_counts_it() -> None:
    from sklearn.metrics import roc_auc_score

    rows, random = binary(300)
    rows = rows.assign(
        up=rows["target"] + random.normal(size=300), down=-2.0 * rows["target"] + random.normal(size=300)
    )

    alone = scores(rows)

    assert alone["up"] == pytest.approx(roc_auc_score(rows["target"], rows["up"]))
    assert alone["down"] == pytest.approx(roc_auc_score(rows["target"], -rows["down"]))


@pytest.mark.parametrize("seed", range(5))
def test_features_that_tell_nothing_are_no_better_than_chance_whatever_they_hold(seed: int) -> None:
    rows, random = binary(2000, seed=seed)
    names = np.array([f"name {number}" for number in random.permutation(2000)], dtype=object)
    rows = rows.assign(noise=random.normal(size=2000), code=names, few=random.choice(["a", "b"], 2000).astype(object))

    alone = scores(rows)

    assert all(0.4 < score < 0.6 for score in alone.values()), alone


def test_what_is_the_same_for_all_rows_of_a_key_is_judged_by_other_keys() -> None:
    rows, _ = binary(100)
    rows = pd.concat([rows.assign(customer=[f"c{key}" for key in rows["id"]])] * 10, ignore_index=True)

    assert scores(rows)["customer"] < 0.6


@pytest.mark.parametrize("count", [60, 2000])
def test_a_number_that_follows_from_a_feature_is_found_in_few_rows_and_in_many(count: int) -> None:
    random = np.random.default_rng(0)
    target = random.normal(size=count)
    rows = pd.DataFrame({"id": range(count), "target": target, "line": 3 - 2 * target, "curve": np.exp(target)})
    rows = rows.assign(half=target + random.normal(size=count))

    finding = no_feature_alone(spec("regression"), definitions(rows), rows)

    assert [fault.split(" alone")[0] for fault in finding.faults] == ["curve", "line"]
    assert 0.2 < scores(rows, "regression")["half"] < 0.7


def test_a_class_that_follows_from_a_feature_is_found() -> None:
    random = np.random.default_rng(0)
    target = random.choice(["a", "b", "c"], 900)
    codes = pd.Series(target).map({"a": 1.0, "b": 2.0, "c": 3.0})
    rows = pd.DataFrame({"id": range(900), "target": target, "code": codes, "one": (target == "b").astype(float)})

    finding = no_feature_alone(spec("multiclass"), definitions(rows), rows)

    assert [fault.split(" alone")[0] for fault in finding.faults] == ["code"]


def test_what_is_allowed_is_declared() -> None:
    rows, random = binary()
    rows = rows.assign(good=rows["target"] + random.normal(size=1000))

    assert no_feature_alone(spec(), definitions(rows), rows).passed
    assert not no_feature_alone(spec(alone_at_most=0.7), definitions(rows), rows).passed


def test_many_rows_are_judged_by_a_sample_that_the_seed_decides() -> None:
    rows, random = binary(ROWS + 5000)
    rows = rows.assign(good=rows["target"] + random.normal(size=len(rows)))

    findings = [no_feature_alone(spec(), definitions(rows), rows) for _ in range(2)]

    assert findings[0] == findings[1]
    assert "on 20,000 training rows" in findings[0].reason


def test_what_has_one_value_only_has_no_score() -> None:
    rows, _ = binary(100)

    finding = no_feature_alone(spec(), definitions(rows.assign(same=1.0)), rows.assign(same=1.0))

    assert finding.passed
    assert finding.reason.endswith("none could be judged")


@pytest.mark.parametrize(
    ("cutoff", "audit", "splits", "checks"),
    [
        (None, {}, ["train"], [ALONE, TOGETHER]),
        ("at", {}, ["train"], [NO_LEAK, ALONE, TOGETHER]),
        ("at", {}, ["test"], [NO_LEAK]),
        ("at", {"alone_at_most": None}, ["train"], [NO_LEAK, TOGETHER]),
        (None, {}, ["test"], []),
    ],
)
def test_only_what_there_is_to_look_at_is_checked(
    cutoff: str | None, audit: dict[str, Any], splits: list[str], checks: list[str]
) -> None:
    assert feature_checks(spec(cutoff=cutoff, **audit), splits) == checks


def test_a_feature_that_tells_one_of_several_targets_is_found_with_its_name() -> None:
    rows, random = binary()
    several = spec(alone_at_most=0.99)
    several = several.model_copy(
        update={"examples": several.examples.model_copy(update={"target": {"a": "y", "b": "z"}})}
    )
    rows = rows.rename(columns={"target": "target a"}).assign(told=random.random(1000))
    rows["target b"] = (rows["told"] > 0.8).astype("int8")
    features = definitions(rows.drop(columns=["target a", "target b"]))

    alone, together = no_feature_alone(several, features, rows), no_identity(several, features, rows)

    assert len(alone.faults) == 1
    assert alone.faults[0].startswith("b: told alone reaches roc_auc 1.0000")
    assert {row["target"] for row in alone.table} == {"a", "b"}
    assert together.passed
    summed = rows.assign(one=rows["target b"] - rows["told"])
    named = no_identity(several, definitions(summed.drop(columns=["target a", "target b"])), summed)
    assert named.faults == ("b: b = told + one in 1,000 of the 1,000 training rows where these have values",)
