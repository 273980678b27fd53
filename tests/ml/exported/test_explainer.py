"""Every family: what its model carries to be explained by adds up, and is what its answers are made of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest

from ml.declaration.catalogue import CATALOGUE
from ml.evaluation.explanations import Exported
from ml.exported.explainer import explainer
from ml.exported.onnx import export, predict, session
from ml.models.additive import NUMBER, Additive, additive_of
from ml.models.catalogue import family
from ml.models.family import FittedModel, Training
from ml.models.joined import FittedTargets
from ml.search.blended import FittedEnsemble, Member
from ml.tasks.encoding import Encoder
from ml.tasks.objectives import Objective
from ml.tasks.task import Kind, Task
from ml.tasks.transforms import TRANSFORMS
from service.explain.document import Carried
from service.explain.explainer import Explainer, Explanation
from service.plan.texts import unlearned
from tests.ml.models.test_family import EVERY, TARGETS
from tests.service.explain.test_trees import brute_force

FEW: dict[str, dict[str, Any]] = {
    "random_forest": {"n_estimators": 5},
    "extra_trees": {"n_estimators": 5},
    "mlp": {"epochs": 1},
    "resnet": {"epochs": 1},
    **{name: {"rounds": 5} for name in ("hist_boosting", "lightgbm", "xgboost", "catboost")},
}
SAMPLED = ("mlp", "resnet", "cnn")
BACKGROUND = 30
random = np.random.default_rng(0)
ROWS = 500
FRAME = pd.DataFrame({"a": random.normal(size=ROWS), "b": random.normal(size=ROWS)})
FRAME["c"], FRAME["d"] = random.choice([*"xyz", None], ROWS), random.choice([*"pqrstuvw"], ROWS)
FRAME["note"] = [" ".join(random.choice(["good", "bad", "the"], 3)) if place % 9 else None for place in range(ROWS)]
FRAME["unused"] = 1.0
FRAME["y"] = (FRAME["a"] + (FRAME["c"] == "x") + FRAME["d"].isin(["p", "r"]) * FRAME["b"] > 0.4).astype("int8")
FRAME["size"] = 1900 + 20 * (FRAME["a"] + (FRAME["c"] == "x")) + FRAME["note"].fillna("").str.count("good")
FRAME["colour"] = np.where(FRAME["c"] == "x", "red", np.where(FRAME["size"] > 1900, "green", "blue"))
FRAME.loc[random.random(ROWS) < 0.1, "b"] = np.nan
VOCABULARY = unlearned("note", {"words": (1, 1)}, 10, 2)


def training(kind: Kind, **more: Any) -> Training:
    train, valid = FRAME[:400], FRAME[400:]
    encoder = Encoder.fit(train, ["a", "b", "unused"], ["c", "d"], [VOCABULARY])
    task = Task.of(kind, train[TARGETS[kind]])
    y, y_valid = (task.labels(part[TARGETS[kind]]) for part in (train, valid))
    return Training(encoder.encode(train), y, encoder.encode(valid), y_valid, encoder, task, **more)


def fitted(name: str, data: Training, seed: int = 0) -> FittedModel:
    chosen = family(name)
    return chosen.fit(data, {**chosen.defaults(), **FEW.get(name, {})}, seed=seed)


class Explained:
    """A model with its explainer, as the service has it."""

    def __init__(self, model: FittedModel, encoder: Encoder, task: Task) -> None:
        onnx_session, background = session(export(model, encoder, {}, task)), FRAME[:BACKGROUND]
        answers = predict(onnx_session, encoder, background)
        text = explainer(model, task, encoder.encode(background), answers)
        self.carried = msgspec.json.decode(text, type=Carried)
        widths = {name: places.stop - places.start for name, places in encoder.places.items()}
        self.answers = predict(onnx_session, encoder, FRAME).reshape(ROWS, -1)
        self.exported, self.encoder = Exported(onnx_session, encoder, FRAME), encoder
        self.explainer = Explainer(self.carried, widths, self.run, "answer")
        self.players = np.repeat(np.arange(len(widths)), list(widths.values()))
        self.names = list(widths)

    def run(self, X: np.ndarray) -> np.ndarray:
        """Answer encoded rows, whose texts are numbers already."""
        codes = np.nan_to_num(X[:, self.encoder.n_numeric :], nan=-1).astype(int)
        levels = [np.array([*labels, ""], object) for labels in self.encoder.categories.values()]
        categorical = np.stack([labels[codes[:, place]] for place, labels in enumerate(levels)], axis=1)
        inputs = {"numeric": X[:, : self.encoder.n_numeric], "categorical": categorical}
        return np.asarray(self.exported.session.run(["score"], inputs)[0], np.float64)

    def explain(self, row: int, place: int = 0) -> Explanation:
        x = self.encoder.encode(FRAME.iloc[[row]])[0]
        return self.explainer.explain(x, [None] * len(self.names), self.answers[row], place)

    def by_brute_force(self, answer: Any, row: int) -> dict[str, float]:
        X = self.encoder.encode(FRAME)
        values = brute_force(answer, X[row], X[:BACKGROUND], self.players.tolist())
        return dict(zip(self.names, values, strict=True))


def contributions(explanation: Explanation) -> dict[str, float]:
    return {entry.feature: entry.contribution for entry in explanation.contributions}


# Of the families that are sampled one kind each will do: nothing of it depends on the family.
EXPLAINED = [case for case in EVERY if case.values[0] not in SAMPLED or case.values[1] == "multiclass"]


@pytest.mark.parametrize(("name", "kind"), EXPLAINED)
def test_every_family_is_explained_by_what_its_answers_are_made_of(name: str, kind: Kind) -> None:
    data = training(kind)
    model = fitted(name, data)

    explained = Explained(model, data.encoder, data.task)

    row = 3
    answers = model.predict(data.encoder.encode(FRAME))
    found = [explained.explain(row, place) for place in range(data.task.outputs)]
    for one in found:
        assert one.base + sum(contributions(one).values()) == pytest.approx(one.score, abs=1e-6)
        assert sorted(contributions(one)) == ["a", "b", "c", "d", "note", "unused"]
        assert contributions(one)["unused"] == 0
        assert one.method == ("permutations" if name in SAMPLED else "exact")
    sums = np.array([one.score for one in found])
    if name in SAMPLED:
        assert sums == pytest.approx(np.ravel(answers[row]), abs=1e-5)
        return
    additive = additive_of(model)
    assert additive is not None
    assert additive.answer(sums[None])[0] == pytest.approx(answers[row], rel=1e-6, abs=1e-6)
    # Of many classes sums are known up to a number that all of them share: the difference to the first class is not.
    linked = {"log-odds": lambda p: np.log(p / (1 - p)), "margin": lambda p: np.log(p[:, -1] / p[:, 0])}
    raw = linked.get(found[0].space, lambda p: p[:, -1] - p[:, 0] if kind == "multiclass" else p)
    expected = explained.by_brute_force(lambda X: raw(model.predict(X)), row)
    last, first = contributions(found[-1]), contributions(found[0]) if len(found) > 1 else dict.fromkeys(expected, 0.0)
    assert {feature: last[feature] - first[feature] for feature in last} == pytest.approx(expected, abs=1e-5)


def test_the_sum_is_the_margin_of_the_library_itself() -> None:
    data = training("binary")
    model: Any = fitted("lightgbm", data)

    explained = Explained(model, data.encoder, data.task)

    margins = model._booster().predict(data.encoder.encode(FRAME[:5]), raw_score=True)
    assert [explained.explain(row).score for row in range(5)] == pytest.approx(margins.tolist(), abs=1e-6)


@pytest.mark.parametrize("transform", ["ln", "log10", "log1p", "sqrt"])
def test_a_transformed_target_is_explained_as_it_was_learned(transform: str) -> None:
    data = training("regression", transform=TRANSFORMS[transform])
    model = fitted("lightgbm", data)

    explained = Explained(model, data.encoder, data.task)

    one, learned = explained.explain(3), TRANSFORMS[transform]
    assert one.space == f"{transform} of the number"
    assert learned.inverse(np.array(one.score)) == pytest.approx(explained.answers[3, 0], rel=1e-6)
    assert one.base + sum(contributions(one).values()) == pytest.approx(one.score, abs=1e-9)


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_an_objective_with_a_link_is_explained_in_logarithms(scale: float) -> None:
    data = training("regression", objective=Objective.named("poisson"))
    data = replace(data, y=data.y * scale, y_valid=data.y_valid * scale)

    explained = Explained(fitted("hist_boosting", data), data.encoder, data.task)

    one = explained.explain(3)
    assert (one.method, one.space) == ("exact", "ln of the number")
    assert np.exp(one.score) == pytest.approx(explained.answers[3, 0], rel=1e-5)


def ensemble(kind: Kind, names: list[str], sharpness: float = 1.0) -> tuple[FittedEnsemble, Training]:
    data = training(kind)
    members = tuple(Member(f"m{place}", 1 / len(names), fitted(name, data)) for place, name in enumerate(names))
    return FittedEnsemble(members, data.X.shape[1], data.task, sharpness), data


@pytest.mark.parametrize(
    ("kind", "names", "sharpness", "method", "space"),
    [
        ("regression", ["lightgbm", "ridge", "random_forest"], 1.0, "exact", NUMBER),
        ("binary", ["random_forest", "extra_trees"], 1.0, "exact", "probability"),
        ("multiclass", ["random_forest", "extra_trees"], 1.0, "exact", "probability"),
        ("binary", ["random_forest", "extra_trees"], 1.3, "permutations", "answer"),
        ("binary", ["lightgbm", "logistic"], 1.0, "permutations", "answer"),
    ],
)
def test_a_mean_of_sums_is_a_sum_and_any_other_blend_is_sampled(
    kind: Kind, names: list[str], sharpness: float, method: str, space: str
) -> None:
    model, data = ensemble(kind, names, sharpness)

    explained = Explained(model, data.encoder, data.task)

    one = explained.explain(3, data.task.outputs - 1)
    assert (one.method, one.space) == (method, space)
    assert one.score == pytest.approx(explained.answers[3, -1], rel=1e-6)
    assert one.base + sum(contributions(one).values()) == pytest.approx(one.score, abs=1e-6)
    if method == "exact":
        expected = explained.by_brute_force(lambda X: model.predict(X).reshape(len(X), -1)[:, -1], 3)
        assert contributions(one) == pytest.approx(expected, abs=1e-5)


def test_the_answers_to_several_targets_are_explained_apart() -> None:
    data = training("binary")
    other = replace(data, y=1 - data.y, y_valid=1 - data.y_valid)
    model = FittedTargets({"yes": fitted("lightgbm", data), "no": fitted("logistic", other)}, data.X.shape[1])

    explained = Explained(model, data.encoder, Task("binary", targets=("yes", "no")))

    for place in range(2):
        one = explained.explain(3, place)
        assert (one.method, one.space) == ("exact", "log-odds")
        assert 1 / (1 + np.exp(-one.score)) == pytest.approx(explained.answers[3, place], abs=1e-6)


class Boastful:
    """A model that tells a sum which its answers are not."""

    def __init__(self, model: Any) -> None:
        self.model, self.predict, self.to_onnx = model, model.predict, model.to_onnx

    def additive(self) -> Additive:
        return self.model.additive().scaled(1.0, 0.1)  # type: ignore[no-any-return]


def test_a_sum_that_the_answers_are_not_is_not_believed(caplog: pytest.LogCaptureFixture) -> None:
    data = training("binary")

    explained = Explained(Boastful(fitted("lightgbm", data)), data.encoder, data.task)

    assert explained.carried.sums == [None]
    assert explained.explain(3).method == "permutations"
    assert "is explained by samples" in caplog.text


def test_an_infinite_sum_is_explained_by_what_is_answered() -> None:
    data = training("binary")
    explained = Explained(fitted("logistic", data), data.encoder, data.task)
    x = data.encoder.encode(FRAME[:1])[0]
    x[0] = np.inf

    one = explained.explainer.explain(x, [None] * 6, explained.run(x[None]), 0)

    assert (one.method, one.score) == ("permutations", 1.0)
    assert one.base + sum(contributions(one).values()) == pytest.approx(1.0, abs=1e-9)


def test_a_pipeline_of_another_make_is_sampled() -> None:
    data = training("binary")
    model: Any = fitted("logistic", data)

    assert additive_of(replace(model, ours=False)) is None
    assert additive_of(model) is not None


def test_every_family_is_in_one_of_the_tests() -> None:
    assert {case.values[0] for case in EXPLAINED} | {"cnn"} == CATALOGUE.keys()


def test_the_same_model_carries_the_same_bytes() -> None:
    data = training("multiclass")
    model, X = fitted("hist_boosting", data), data.encoder.encode(FRAME[:BACKGROUND])

    assert len({explainer(model, data.task, X, model.predict(X)) for _ in range(2)}) == 1
