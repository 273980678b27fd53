"""Every family: learns, repeats itself, and answers the same as ONNX."""

import pickle

import numpy as np
import pandas as pd
import pytest

from ml.encoding import Encoder
from ml.models import FAMILIES, Training, family
from ml.onnx_export import ParityError, export, measure_parity, predict, session
from ml.tuning import score, tune


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = 1200
    frame = pd.DataFrame(
        {"a": rng.normal(size=rows), "b": rng.normal(size=rows), "c": rng.choice([*"xyz", None], rows)}
    )
    frame["y"] = (frame["a"] + (frame["c"] == "x") + rng.normal(0, 0.5, rows) > 0.5).astype("int8")
    frame.loc[rng.random(rows) < 0.1, "b"] = np.nan
    return frame


@pytest.fixture(scope="module")
def data(frame: pd.DataFrame) -> Training:
    train, valid = frame[:800], frame[800:]
    encoder = Encoder.fit(train, ["a", "b"], ["c"])
    return Training(encoder.encode(train), train["y"].to_numpy(), encoder.encode(valid), valid["y"].to_numpy(), encoder)


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_a_family_learns_and_repeats_itself_exactly(name: str, data: Training) -> None:
    chosen = family(name)

    first, second = (chosen.fit(data, chosen.defaults(), seed=1) for _ in range(2))

    p = first.predict(data.X_valid)
    assert score("roc_auc", data.y_valid, p) > 0.85
    assert ((p >= 0) & (p <= 1)).all()
    assert pickle.dumps(first) == pickle.dumps(second)
    assert np.array_equal(pickle.loads(pickle.dumps(first)).predict(data.X_valid), p)


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_the_onnx_model_answers_the_same_and_has_the_same_bytes(name: str, data: Training, frame: pd.DataFrame) -> None:
    model = family(name).fit(data, family(name).defaults(), seed=1)

    first, second = (export(model, data.encoder, {"k": "v"}) for _ in range(2))
    parity = measure_parity(model, data.encoder, first, frame[800:])

    assert first == second
    assert set(parity.cases) == {
        "real rows", "numbers missing", "beside thresholds", "categories missing", "categories unseen", "one row alone",
    }  # fmt: skip
    parity.raise_for_drift()
    assert session(first).get_modelmeta().custom_metadata_map["k"] == "v"


def test_drift_is_refused_with_its_case(data: Training, frame: pd.DataFrame) -> None:
    right, wrong = (family("lightgbm").fit(data, family("lightgbm").defaults(), seed=seed) for seed in (1, 2))

    parity = measure_parity(right, data.encoder, export(wrong, data.encoder, {}), frame[800:])

    with pytest.raises(ParityError, match="differs from the native one by"):
        parity.raise_for_drift()


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
    with pytest.raises(ValueError, match=r"no model family 'svm'. Allowed: \['lightgbm', 'logistic', 'mlp'\]"):
        family("svm")


def test_the_encoder_knows_missing_unseen_and_round_trips(frame: pd.DataFrame) -> None:
    encoder = Encoder.fit(frame[:800], ["a", "b"], ["c"])

    codes = encoder.encode(pd.DataFrame({"a": [1.0], "b": [None], "c": ["never"]}))

    assert np.isnan(codes[0, 1:]).all()
    assert set(encoder.categories["c"]) == {"x", "y", "z"}
    assert Encoder.from_dict(encoder.to_dict()) == encoder
    with pytest.raises(ValueError, match=r"lacks the columns \['b'\]"):
        encoder.encode(frame[["a", "c"]])


def test_one_row_scores_as_it_does_in_a_batch(data: Training, frame: pd.DataFrame) -> None:
    made = session(export(family("mlp").fit(data, family("mlp").defaults(), seed=0), data.encoder, {}))

    batch = predict(made, data.encoder, frame[:5])

    assert [predict(made, data.encoder, frame.iloc[[row]])[0] for row in range(5)] == pytest.approx(
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

    made = session(export(model, encoder, {}))

    assert predict(made, encoder, tiny) == pytest.approx(model.predict(encoder.encode(tiny)), abs=1e-6)
