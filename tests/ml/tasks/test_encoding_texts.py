"""Columns of texts in the encoder: what each row becomes, what is learned of whom, and what a fitted model keeps."""

import pickle

import numpy as np
import pandas as pd
import pytest

from ml.features.definitions import Feature, FeatureDefinitions
from ml.models.family import Training
from ml.search.evaluator import load_parts, save_parts
from ml.search.folds import folded
from ml.tasks.encoding import Encoder
from ml.tasks.folds import Fold
from ml.tasks.task import Task
from service.plan.texts import unlearned

NOTE = unlearned("note", {"words": (1, 1)}, 10, 1)


def frame() -> pd.DataFrame:
    notes = ["good day", None, "bad day", ""]
    return pd.DataFrame({"x": [1.0, 2.0, np.nan, 4.0], "note": notes, "city": ["Rome", None, "Oslo", "Rome"]})


def fitted() -> Encoder:
    return Encoder.fit(frame(), ["x"], ["city"], [NOTE])


def test_texts_stand_between_numbers_and_categories() -> None:
    encoder = fitted()

    assert encoder.columns == ("x", "note", "city")
    assert encoder.features == (
        "x",
        "note: no words",
        'note: words "day"',
        'note: words "bad"',
        'note: words "good"',
        "city",
    )
    assert (encoder.n_numeric, encoder.cardinalities) == (5, (2,))
    assert encoder.places == {"x": slice(0, 1), "note": slice(1, 5), "city": slice(5, 6)}
    X = encoder.encode(frame())
    assert X.dtype == np.float32
    assert X[:, 1].tolist() == [0, 1, 0, 1]
    assert (X[[1, 3], 2:5] == 0).all()
    assert np.square(X[[0, 2], 2:5]).sum(axis=1) == pytest.approx([1, 1])
    inputs = encoder.inputs(frame())
    assert np.array_equal(inputs["numeric"], X[:, :5], equal_nan=True)
    assert inputs["categorical"].tolist() == [["Rome"], [""], ["Oslo"], ["Rome"]]


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_every_way_to_miss_a_text_is_the_same(missing: object) -> None:
    rows = pd.DataFrame({"note": pd.Series(["good", missing, "…"], dtype=object)})

    X = Encoder.fit(frame(), [], [], [NOTE]).encode(rows)

    assert X[1].tolist() == X[2].tolist() == [1, 0, 0, 0]


def test_an_encoder_is_the_same_after_its_json_and_a_pickle() -> None:
    encoder = fitted()

    for again in (Encoder.from_dict(encoder.to_dict()), pickle.loads(pickle.dumps(encoder))):
        assert again == encoder
        assert np.array_equal(again.encode(frame()), encoder.encode(frame()), equal_nan=True)
    assert Encoder.fit(frame(), ["x"], ["city"]).to_dict().keys() == {"numeric", "categories"}


def test_encoders_that_were_stored_before_there_were_texts_have_none() -> None:
    stored = Encoder.fit(frame(), ["x"], ["city"])
    state = {name: value for name, value in vars(stored).items() if name != "texts"}

    again = object.__new__(Encoder)
    vars(again).update(state)

    assert np.array_equal(again.encode(frame()), stored.encode(frame()), equal_nan=True)


def test_each_fold_knows_the_words_of_the_rows_that_it_learns_from_and_no_others(tmp_path: object) -> None:
    rows = pd.DataFrame({"note": ["early", "early", "late", "late", "both early", "both late"]})
    y, encoder = np.array([0, 1, 0, 1, 0, 1], np.int8), Encoder.fit(rows, [], [], [NOTE])
    learned = np.array([0, 1, 4, 5])

    parts = folded(rows, y, encoder, Task(), [Fold(learned[:2], np.array([2, 3]))], np.arange(6)).parts

    assert parts[0].encoder.texts == (NOTE.learned(["early", "early"]),)
    assert parts[0].X_valid[:, 1:].tolist() == [[0], [0]]


def test_workers_get_the_words(tmp_path) -> None:  # type: ignore[no-untyped-def]
    encoder = fitted()
    X, y = encoder.encode(frame()), np.array([0, 1, 0, 1], np.int8)

    save_parts([Training(X, y, X, y, encoder)], tmp_path)

    assert load_parts(tmp_path)[0].encoder == encoder


def test_a_column_may_not_have_the_name_of_a_word() -> None:
    rows = frame().rename(columns={"x": 'note: words "day"'})

    with pytest.raises(ValueError, match="listed more than once"):
        Encoder.fit(rows, ['note: words "day"'], [], [NOTE])


def test_definitions_say_what_is_to_be_learned() -> None:
    feature = Feature(name="note", kind="column", type="text", column="note")
    definitions = FeatureDefinitions(row="", history={}, features=[feature], lookups={}, record={"note": "text"})

    (vocabulary,) = definitions.texts

    assert (vocabulary.column, vocabulary.most, vocabulary.rows) == ("note", 500, 3)
    assert [(grams.kind, grams.shortest, grams.longest) for grams in vocabulary.grams] == [
        ("words", 1, 2),
        ("characters", 3, 5),
    ]
    assert "terms" not in Feature(name="x", kind="column", type="numeric").model_dump()
