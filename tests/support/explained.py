"""A bundle with a small fitted model that can be explained, and a record whose row has a key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ml.exported.explainer import KEY, explainer
from ml.exported.onnx import annotated, export, predict, session
from ml.exported.reference import KEY as REFERENCE
from ml.models.catalogue import family
from ml.models.family import Training
from ml.models.joined import FittedTargets
from ml.tasks.encoding import Encoder
from ml.tasks.task import Kind, Task
from service.plan.texts import unlearned

RECORD: dict[str, Any] = {"amount": 0.25, "flag": True, "city": "Rome", "note": "good good"}
KEYED = {"id": 2**60 + 1, "city": "Rome"}  # the columns that name a row: one is a column of the record, too
COLUMNS = {"amount": "number", "flag": "flag", "city": "text", "note": "text"}
TARGETS = ("first", "second")


def rows() -> pd.DataFrame:
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"amount": random.normal(size=300), "flag": random.integers(0, 2, 300).astype(float)})
    frame["city"] = random.choice(["Rome", "Oslo", "Bern", None], 300)
    frame["note"] = [" ".join(random.choice(["good", "bad", "the"], 3)) for _ in range(300)]
    worth = frame["amount"] + (frame["city"] == "Rome") + frame["note"].str.count("good")
    classes = pd.cut(worth, 3, labels=[*"abc"]).astype(str)
    return frame.assign(binary=(worth > 1).astype("int8"), regression=worth, multiclass=classes)


def bundle(folder: Path, name: str, kind: Kind = "binary", *, targets: bool = False, carried: bool = True) -> Path:
    """Write a bundle with a model of a family; without `carried` it is one from before models carried anything."""
    frame = rows()
    encoder = Encoder.fit(frame, ["amount", "flag"], ["city"], [unlearned("note", {"words": (1, 1)}, 10, 2)])
    task, X = Task.of(kind, frame[kind]), encoder.encode(frame)
    y, chosen = task.labels(frame[kind]), family(name)
    settings = {**chosen.defaults(), **{"lightgbm": {"rounds": 5}, "mlp": {"epochs": 1}}.get(name, {})}
    model: Any = chosen.fit(Training(X, y, X, y, encoder, task), settings, seed=0)
    if targets:
        model, task = FittedTargets(dict.fromkeys(TARGETS, model), X.shape[1]), Task("binary", targets=TARGETS)
    content = export(model, encoder, {"sextant.encoder": json.dumps(encoder.to_dict())}, task)
    scores = predict(session(content), encoder, frame)
    about = {KEY: explainer(model, task, X[:50], scores[:50])} if carried else {}
    cuts = {"threshold": {"value": 0.5}}
    about[REFERENCE] = json.dumps(cuts | ({"targets": dict.fromkeys(TARGETS, cuts)} if targets else {}))
    plan = {
        "use_case": "worth",
        "record": COLUMNS,
        "required": [],
        "features": [{"name": name, "kind": "column", "column": name} for name in COLUMNS],
        "task": task.to_dict(),
        **({"key": {"id": "number", "city": "text"}} if carried else {}),
    }
    files = {
        "model.onnx": annotated(content, about if kind != "regression" else {**about, REFERENCE: "{}"}),
        "plan.json": json.dumps(plan).encode(),
        "coordinates.json": b'{"id": "c0ffee", "model_version": "1"}',
        "golden.json": b'{"records": [], "scores": []}',
    }
    folder.mkdir(exist_ok=True)
    for file, written in files.items():
        (folder / file).write_bytes(written)
    return folder
