"""The ONNX file of a Bento, and a page that says all that one must know to ask it."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from dagster_project.exports.facts import Facts, facts

TYPES = {"tensor(float)": "float32; a missing number is NaN", "tensor(string)": 'text; a missing one is ""'}
ANSWERED = {"tensor(float)": "float32", "tensor(double)": "float64"}
README, MODEL = "README.md", "model.onnx"


def export(bundle: Path, folder: Path) -> Path:
    """Write the model of a bundle and its page into a folder; return it."""
    shutil.copyfile(bundle / MODEL, folder / MODEL)
    (folder / README).write_text(page(facts(bundle), MODEL))
    return folder


def page(about: Facts, model: str) -> str:
    """Return what a model takes and answers, in Markdown, with code that asks the `model` beside it."""
    lines = [
        f"# {about.use_case}, version {about.version}",
        f"{_task(about)} `sextant locate {about.coordinates}` says where it came from.",
        "It takes features, not records: windows over the past, lookups and texts are made into them by the Bento, "
        "which is the one to ask with records.",
        "## Inputs",
        _table(["input", "type", "shape"], _inputs(about)),
        *_orders(about),
        "## Output",
        _output(about),
    ]
    if about.example:
        lines += ["## Ask it", f"```python\n{_code(about, model)}```"]
    return "\n\n".join(lines) + "\n"


def _task(about: Facts) -> str:
    if about.task.targets:
        return f"It answers with the probability of each of the targets {', '.join(about.classes)}."
    if about.task.kind == "multiclass":
        return f"It answers with the probability of each of the classes {', '.join(about.classes)}."
    return "It answers with " + ("a number." if about.task.kind == "regression" else "the probability of a yes.")


def _inputs(about: Facts) -> Iterator[Sequence[str]]:
    for name, node in about.types.items():
        yield f"`{name}`", TYPES[node], f"[rows, {len(about.features[name])}]"


def _orders(about: Facts) -> Iterator[str]:
    for name, features in about.features.items():
        rows = [[str(place), f"`{feature}`"] for place, feature in enumerate(features)]
        yield f"The features of `{name}`, in this order:"
        yield _table(["column", "feature"], rows)


def _output(about: Facts) -> str:
    if not about.classes:
        text = f"`score`, {ANSWERED[about.answered]} [rows]."
        return text + (f" The decision is yes from {about.thresholds[0]!r} on." if about.thresholds else "")
    names = ", ".join(f"`{name}`" for name in about.classes)
    shape = f"{ANSWERED[about.answered]} [rows, {len(about.classes)}]"
    text = f"`score`, {shape}: the probabilities of {names}, in this order."
    cuts = ", ".join(f"`{name}` {cut!r}" for name, cut in zip(about.classes, about.thresholds, strict=False))
    return text + (f" The decision is yes from these on: {cuts}." if cuts else "")


def _code(about: Facts, model: str) -> str:
    arrays = [
        f'    "{name}": np.array({_literal(value.tolist())}, {_dtype(about, name)}),'
        for name, value in about.example.items()
    ]
    return "\n".join(
        [
            "import numpy as np",
            "import onnxruntime",
            "",
            f'session = onnxruntime.InferenceSession("{model}", providers=["CPUExecutionProvider"])',
            "inputs = {",
            *arrays,
            "}",
            '(scores,) = session.run(["score"], inputs)',
            f"print(scores.tolist())  # [{about.answer!r}]",
            "",
        ]
    )


def _dtype(about: Facts, name: str) -> str:
    return "object" if about.types[name] == "tensor(string)" else "np.float32"


def _literal(rows: list[list[Any]]) -> str:
    return repr(rows).replace("nan", "np.nan") if any(value != value for row in rows for value in row) else repr(rows)


def _table(header: Sequence[str], rows: Any) -> str:
    lines = [list(header), ["---"] * len(header), *(list(row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
