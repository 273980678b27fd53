"""Every family: learns, repeats itself, and answers the same as ONNX."""

import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.declaration.catalogue import CATALOGUE
from ml.exported.onnx import ParityError, export, measure_parity, predict, session, task_of
from ml.models.catalogue import family
from ml.models.extras import missing_package
from ml.models.family import Training
from ml.search.tuning import tune
from ml.tasks.counting import RowGroups
from ml.tasks.encoding import Encoder
from ml.tasks.metrics import score
from ml.tasks.sampling import sampled_rows
from ml.tasks.task import Kind, Task


def installed(name: str) -> bool:
    return not any(map(missing_package, CATALOGUE[name].requires))


TARGETS: dict[Kind, str] = {"binary": "y", "multiclass": "colour", "regression": "size"}
GOOD: dict[Kind, tuple[str, float]] = {
    "binary": ("roc_auc", 0.85),
    "multiclass": ("accuracy", 0.7),
    "regression": ("r2", 0.7),
}
EVERY = [
    pytest.param(name, kind, marks=pytest.mark.skipif(not installed(name), reason="pip install '.[boosters]'"))
    for name in sorted(CATALOGUE)
    if name != "cnn"
    for kind in CATALOGUE[name].tasks
]


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = 1200
    frame = pd.DataFrame(
        {"a": rng.normal(size=rows), "b": rng.normal(size=rows), "c": rng.choice([*"xyz", None], rows)}
    )
    frame["y"] = (frame["a"] + (frame["c"] == "x") + rng.normal(0, 0.5, rows) > 0.5).astype("int8")
    frame["size"] = 1900 + 20 * (frame["a"] + (frame["c"] == "x")) + rng.normal(0, 5, rows)
    frame["colour"] = np.where(frame["c"] == "x", "red", np.where(frame["size"] > 1900, "green", "blue"))
    frame.loc[rng.random(rows) < 0.1, "b"] = np.nan
    return frame


def training(frame: pd.DataFrame, kind: Kind) -> Training:
    train, valid = frame[:800], frame[800:]
    encoder, task = Encoder.fit(train, ["a", "b"], ["c"]), Task.of(kind, train[TARGETS[kind]])
    y, y_valid = (task.labels(rows[TARGETS[kind]]) for rows in (train, valid))
    return Training(encoder.encode(train), y, encoder.encode(valid), y_valid, encoder, task)


@pytest.fixture(scope="module")
def data(frame: pd.DataFrame) -> Training:
    return training(frame, "binary")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kind"), EVERY)
def test_a_family_learns_and_repeats_itself_exactly(name: str, kind: Kind, frame: pd.DataFrame) -> None:
    chosen, data = family(name), training(frame, kind)

    first, second = (chosen.fit(data, chosen.defaults(), seed=1) for _ in range(2))

    p = first.predict(data.X_valid)
    metric, at_least = GOOD[kind]
    assert score(metric, data.y_valid, p) > at_least
    assert p.dtype == np.float64
    assert p.shape == ((400, 3) if kind == "multiclass" else (400,))
    if kind != "regression":
        assert ((p >= 0) & (p <= 1)).all()
    if kind == "multiclass":
        assert p.sum(axis=1) == pytest.approx(np.ones(400), abs=1e-12)
    assert pickle.dumps(first) == pickle.dumps(second)
    assert np.array_equal(pickle.loads(pickle.dumps(first)).predict(data.X_valid), p)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kind"), EVERY)
def test_the_onnx_model_answers_the_same_and_has_the_same_bytes(name: str, kind: Kind, frame: pd.DataFrame) -> None:
    data = training(frame, kind)
    few = {"n_estimators": 20} if "n_estimators" in family(name).defaults() else {}
    model = family(name).fit(data, family(name).defaults() | few, seed=1)

    first, second = (export(model, data.encoder, {"k": "v"}, data.task) for _ in range(2))
    parity = measure_parity(model, data.encoder, first, frame[800:])

    assert first == second
    assert set(parity.cases) == {
        "real rows", "numbers missing", "beside thresholds", "categories missing", "categories unseen", "one row alone",
        "some values missing or unseen", "beside thresholds, some values missing or unseen", "numbers out of range",
    }  # fmt: skip
    parity.raise_for_drift()
    assert session(first).get_modelmeta().custom_metadata_map["k"] == "v"
    assert task_of(first) == data.task
    assert session(first).get_outputs()[0].shape == ["rows", *([3] if kind == "multiclass" else [])]


def test_a_family_refuses_a_task_that_it_cannot_learn(frame: pd.DataFrame) -> None:
    data = training(frame, "regression")

    with pytest.raises(ValueError, match=r"'logistic' cannot learn 'regression'. It allows \['binary', 'multiclass'\]"):
        family("logistic").fit(data, family("logistic").defaults(), seed=0)


@pytest.mark.parametrize(
    ("kind", "wrong", "expected"),
    [
        ("binary", np.zeros(800, "int8"), "both 0 and 1"),
        ("multiclass", np.arange(800, dtype="int16") % 2, "the codes 0 to 2 of at least two classes, each in training"),
        ("multiclass", np.arange(800, dtype="int16") % 4, "the codes 0 to 2"),
        ("regression", np.ones(800), "different, finite float64"),
        ("regression", np.append(np.arange(799.0), np.inf), "different, finite float64"),
    ],
)
def test_labels_that_do_not_fit_the_task_are_refused(
    kind: Kind, wrong: np.ndarray, expected: str, frame: pd.DataFrame
) -> None:
    with pytest.raises(ValueError, match=f"Expected {expected}"):
        replace(training(frame, kind), y=wrong)


@pytest.mark.parametrize("kind", TARGETS)
def test_a_sample_has_the_rows_that_were_asked_for_and_the_shares_of_all(kind: Kind, frame: pd.DataFrame) -> None:
    data = training(frame, kind)

    sample = data.sample(200, seed=0)

    assert 198 <= len(sample.y) <= 200
    assert np.array_equal(data.sample(200, seed=0).X, sample.X, equal_nan=True)
    assert sample.y.mean() == pytest.approx(data.y.mean(), abs=4 if kind == "regression" else 0.01)


@settings(deadline=None)
@given(st.integers(0, 99), st.integers(3, 299), st.integers(0, 50))
def test_a_smaller_sample_is_part_of_a_larger_one(seed: int, rows: int, more: int) -> None:
    y = np.random.default_rng(seed).choice([0, 1, 2], 300, p=[0.05, 0.3, 0.65])
    task = Task("multiclass", ("a", "b", "c"))

    small, large = (sampled_rows(y, task, size, seed) for size in (rows, rows + more))

    assert len(small) == rows
    assert set(small) <= set(large)
    assert np.abs(np.bincount(y[small], minlength=3) - rows * np.bincount(y) / 300).max() <= 3


@settings(deadline=None)
@given(st.integers(0, 99), st.integers(20, 299), st.integers(0, 50))
def test_a_sample_of_whole_groups_cuts_none_loses_no_class_and_is_part_of_a_larger_one(
    seed: int, rows: int, more: int
) -> None:
    random = np.random.default_rng(seed)
    y, groups = random.choice([0, 1, 2], 300, p=[0.02, 0.3, 0.68]), random.integers(0, 60, 300)
    task = Task("multiclass", ("a", "b", "c"))

    small, large = (sampled_rows(y, task, size, seed, groups) for size in (rows, rows + more))

    drawn = np.isin(groups, groups[small])
    assert np.array_equal(np.flatnonzero(drawn), small)
    assert set(small) <= set(large)
    assert set(y[small]) == set(y)
    assert rows - 15 <= len(small) <= max(rows, 45)


def test_a_sample_of_what_is_ranked_within_groups_has_whole_ones(frame: pd.DataFrame) -> None:
    data = training(frame, "binary")
    groups = np.arange(len(data.y)) // 7

    sample = replace(data, ranked=RowGroups(groups, np.arange(len(data.y_valid)))).sample(200, seed=0)

    assert sample.ranked is not None
    assert 190 <= len(sample.y) <= 200
    assert set(np.bincount(sample.ranked.learned)) <= {0, 7, len(data.y) % 7}


def test_a_sample_loses_no_class(frame: pd.DataFrame) -> None:
    data = training(frame, "multiclass")
    rare = replace(data, y=np.array([0, 1, *[2] * 798], "int16"))

    assert np.bincount(rare.sample(10, seed=0).y).tolist() == [1, 1, 8]
    with pytest.raises(ValueError, match="must be at least 3: one row of each class"):
        rare.sample(2, seed=0)


def test_numbers_far_from_zero_keep_their_digits(frame: pd.DataFrame) -> None:
    data = training(frame, "regression")
    far = replace(data, y=data.y + 1e9, y_valid=data.y_valid + 1e9)

    near, moved = (family("lightgbm").fit(problem, family("lightgbm").defaults(), seed=0) for problem in (data, far))

    assert moved.predict(data.X_valid) - 1e9 == pytest.approx(near.predict(data.X_valid), abs=0.01)


def test_drift_is_refused_with_its_case(data: Training, frame: pd.DataFrame) -> None:
    right, wrong = (family("lightgbm").fit(data, family("lightgbm").defaults(), seed=seed) for seed in (1, 2))

    parity = measure_parity(right, data.encoder, export(wrong, data.encoder, {}), frame[800:])

    with pytest.raises(ParityError, match="differs from the native one by"):
        parity.raise_for_drift()


@pytest.mark.slow
def test_a_study_repeats_itself_and_its_refit_is_scored(data: Training) -> None:
    first, second = (tune("lightgbm", data, trials=4, seed=3, rows=400) for _ in range(2))

    assert first.trials == second.trials
    assert [trial.number for trial in first.trials] == [0, 1, 2, 3]
    assert first.trials[0].params == family("lightgbm").defaults()
    assert first.score == score("roc_auc", data.y_valid, first.model.predict(data.X_valid))
    assert first.trials != tune("lightgbm", data, trials=4, seed=4, rows=400).trials


def test_a_study_of_failures_names_the_first_reason(data: Training) -> None:
    with pytest.raises(RuntimeError, match=r"All 1 trials of 'logistic' failed.*cannot train on 'cuda:0'"):
        tune("logistic", data, trials=1, seed=0, device="cuda:0")


def test_an_unknown_family_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"no model family 'svm'. Allowed: \['catboost', .*\], or a package.mod"):
        family("svm")


def test_the_encoder_knows_missing_unseen_and_round_trips(frame: pd.DataFrame) -> None:
    encoder = Encoder.fit(frame[:800], ["a", "b"], ["c"])

    codes = encoder.encode(pd.DataFrame({"a": [1.0], "b": [None], "c": ["never"]}))

    assert np.isnan(codes[0, 1:]).all()
    assert set(encoder.categories["c"]) == {"x", "y", "z"}
    assert Encoder.from_dict(encoder.to_dict()) == encoder
    with pytest.raises(ValueError, match=r"lacks the columns \['b'\]"):
        encoder.encode(frame[["a", "c"]])


@pytest.mark.slow
def test_one_row_scores_as_it_does_in_a_batch(data: Training, frame: pd.DataFrame) -> None:
    exported = session(export(family("mlp").fit(data, family("mlp").defaults(), seed=0), data.encoder, {}))

    batch = predict(exported, data.encoder, frame[:5])

    assert [predict(exported, data.encoder, frame.iloc[[row]])[0] for row in range(5)] == pytest.approx(
        list(batch), abs=1e-6
    )


def test_values_that_lightgbm_reads_as_zero_are_zero_in_onnx_too() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.choice([-1.0, 0.0, 1.0], 600)})
    y = (frame["a"] >= 0).to_numpy(dtype="int8")
    encoder = Encoder.fit(frame, ["a"], [])
    X = encoder.encode(frame)
    model = family("lightgbm").fit(Training(X, y, X, y, encoder), family("lightgbm").defaults(), seed=0)
    tiny = pd.DataFrame({"a": np.array([-1e-35, 1e-35, -1e-36, 0.0, -1.1e-35, 1.1e-35], np.float32)})

    exported = session(export(model, encoder, {}))

    assert predict(exported, encoder, tiny) == pytest.approx(model.predict(encoder.encode(tiny)), abs=1e-6)
