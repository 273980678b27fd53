"""Models of texts through ONNX: every family that takes them answers as it was trained to."""

import json
from dataclasses import replace

import msgspec
import numpy as np
import pandas as pd
import pytest

from ml.declaration.catalogue import CATALOGUE
from ml.exported.identity import answers_of
from ml.exported.onnx import export, measure_parity
from ml.models.catalogue import family
from ml.models.family import Training
from ml.tasks.encoding import Encoder
from ml.tasks.task import Kind, Task
from service.plan.texts import unlearned

WORDS = ["Good", "bad", "ÉTÉ", "straße", "हिन्दी", "很好", "24/7", "don't", "…", "the"]


def rows(n: int = 300) -> pd.DataFrame:
    random = np.random.default_rng(0)
    notes = [" ".join(random.choice(WORDS, random.integers(0, 12))) for _ in range(n)]
    frame = pd.DataFrame({"x": random.normal(size=n), "note": pd.Series(notes, dtype=object)})
    frame["city"] = random.choice(np.array(["Rome", "Oslo", None], dtype=object), n)
    frame.loc[::11, "note"] = None
    frame.loc[5, "note"] = "good " * 20_000
    return frame


def problem(kind: Kind) -> tuple[Training, pd.DataFrame]:
    frame = rows()
    good = frame["note"].fillna("").str.count("Good") - frame["note"].fillna("").str.count("bad")
    if kind == "multiclass":
        task, y = Task(kind, ("a", "b", "c")), np.clip(good, 0, 2).to_numpy(np.int16)
    else:
        task = Task(kind)
        y = (good > 0).to_numpy(np.int8) if kind == "binary" else (good + 0.1 * frame["x"]).to_numpy(np.float64)
    note = unlearned("note", {"words": (1, 2), "characters": (3, 4)}, 40, 3)
    encoder = Encoder.fit(frame, ["x"], ["city"], [note])
    X = encoder.encode(frame)
    return Training(X, y, X, y, encoder, task), frame


SHORT = {name: {"rounds": 15} for name in ("lightgbm", "xgboost", "catboost", "hist_boosting")}
SHORT |= {name: {"n_estimators": 20} for name in ("random_forest", "extra_trees")}
TRIED = [
    (name, kind)
    for name in sorted(CATALOGUE)
    for kind in ("binary", "multiclass", "regression")
    if kind in family(name).tasks and family(name).takes_texts
    if kind == "binary" or name not in ("mlp", "resnet")
]


@pytest.mark.parametrize(("name", "kind"), TRIED)
def test_texts_are_answered_alike_by_the_native_and_the_exported_model(name: str, kind: Kind) -> None:
    data, frame = problem(kind)
    model = family(name).fit(data, {**family(name).defaults(), **SHORT.get(name, {})}, seed=0)

    content = export(model, data.encoder, {}, data.task)

    parity = measure_parity(model, data.encoder, content, frame)
    parity.raise_for_drift()
    assert {"texts missing", "texts unseen"} <= set(parity.cases)
    assert content == export(model, data.encoder, {}, data.task)


def test_other_words_are_another_model() -> None:
    data, _ = problem("binary")
    model = family("logistic").fit(data, family("logistic").defaults(), seed=0)

    one, again, another = (
        answers_of(export(model, encoder, {"sextant.encoder": json.dumps(encoder.to_dict())}))
        for encoder in (data.encoder, Encoder.from_dict(data.encoder.to_dict()), renamed(data.encoder))
    )

    assert one == again != another


def renamed(encoder: Encoder) -> Encoder:
    """The same encoder, whose first word is another."""
    words, *others = encoder.texts[0].grams
    changed = msgspec.structs.replace(words, terms=("other", *words.terms[1:]))
    return replace(encoder, texts=(msgspec.structs.replace(encoder.texts[0], grams=(changed, *others)),))
