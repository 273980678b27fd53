"""The candidate as one ONNX file, and the proof that it answers as the native model does."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ml.exported.parity_cases import parity_cases
from ml.models.family import IR_VERSION, OPSETS, FittedModel
from ml.tasks.encoding import Encoder
from ml.tasks.task import BINARY, Task

if TYPE_CHECKING:
    import onnx
    import onnxruntime as ort

_log = logging.getLogger(__name__)
CASE_ROWS, ALONE = 5000, 25
PARITY = "sextant.parity"  # the metadata that says how far the answers differed from the native model's


class ParityError(ValueError):
    """The ONNX model and the native one disagree."""


@dataclass(frozen=True)
class Parity:
    """The largest difference of answers between native and ONNX model, overall and by case.

    Numbers, the answers of a regression, differ by shares of their spread over the rows, or over those of the case
    where it is larger.
    """

    rows: int
    tolerance: float
    cases: Mapping[str, float]
    providers: tuple[str, ...]
    family: str = ""

    @property
    def worst(self) -> str:
        """The case with the largest difference, or one with a difference that is no number."""
        return max(self.cases, key=lambda case: (np.isnan(self.cases[case]), self.cases[case]))

    @property
    def largest_difference(self) -> float:
        return self.cases[self.worst]

    def raise_for_drift(self) -> None:
        """Raise ParityError with all cases whose difference exceeds the tolerance or is no number, the worst first."""
        drifting = {case: value for case, value in self.cases.items() if not value <= self.tolerance}
        if drifting:
            others = sorted(drifting.keys() - {self.worst}, key=drifting.__getitem__, reverse=True)
            also = "".join(f", in {case!r} by {drifting[case]:.3g}" for case in others)
            raise ParityError(
                f"the ONNX model of {self.family or 'this family'} differs from the native one by "
                f"{self.largest_difference:.3g} in the case {self.worst!r}{also} ({self.rows} rows); "
                f"allowed: {self.tolerance:.3g}. Do not serve it: check the family's conversion"
            )


def export(model: FittedModel, encoder: Encoder, metadata: Mapping[str, str], task: Task = BINARY) -> bytes:
    """Return a self-contained model.

    It maps `numeric` float32 [N, n_numeric], where the numbers that texts become are last, and `categorical` string
    [N, n_categorical] (each left out if it has no columns) to `score`: [N], float32, the probability of the positive
    class, or [N, n_classes], that of each class; or [N], double, a number. Of several targets it is [N, n_targets].

    A missing category is the empty string. The same model gives the same bytes, and `task_of` them its task.
    """
    import onnx
    from onnx import compose, helper

    inner = compose.add_prefix(model.to_onnx(), "model_")
    inputs, nodes = _front(encoder)
    nodes.append(helper.make_node("Concat", _parts(encoder), ["model_X"], name="join", axis=1))
    nodes.extend(inner.graph.node)
    width = list(task.answer_shape)
    shape = helper.make_tensor("shape", onnx.TensorProto.INT64, [1 + len(width)], [-1, *width])
    numbers = task.kind == "regression"
    answer, kind = ("answer", onnx.TensorProto.DOUBLE) if numbers else ("score", onnx.TensorProto.FLOAT)
    nodes.append(helper.make_node("Reshape", ["model_score", "shape"], [answer], name="answer"))
    if numbers:
        nodes.append(helper.make_node("Cast", [answer], ["score"], name="in_double", to=kind))
    graph = helper.make_graph(
        nodes,
        "sextant",
        inputs,
        [helper.make_tensor_value_info("score", kind, ["rows", *width])],
        initializer=[*inner.graph.initializer, shape],
    )
    opsets = sorted({entry.domain: entry.version for entry in inner.opset_import}.items() | OPSETS.items())
    whole = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid(domain, version) for domain, version in opsets],
        functions=list(inner.functions),
        ir_version=IR_VERSION,
        producer_name="sextant",
    )
    _strip(whole)
    names: dict[str, Any] = {"numeric": list(encoder.numeric), "categorical": list(encoder.categories)}
    names |= {"texts": encoder.to_dict()["texts"]} if encoder.texts else {}
    about = {"sextant.inputs": json.dumps(names), "sextant.task": json.dumps(task.to_dict())}
    helper.set_model_props(whole, {**metadata, **about})
    onnx.checker.check_model(whole)
    content: bytes = whole.SerializeToString(deterministic=True)
    return content


def annotated(content: bytes, metadata: Mapping[str, str]) -> bytes:
    """Return an exported model with more metadata; it answers as before."""
    import onnx
    from onnx import helper

    model = onnx.load_from_string(content)
    helper.set_model_props(model, {**{entry.key: entry.value for entry in model.metadata_props}, **metadata})
    whole: bytes = model.SerializeToString(deterministic=True)
    return whole


def _front(encoder: Encoder) -> tuple[list[onnx.ValueInfoProto], list[onnx.NodeProto]]:
    """Return the inputs, and the nodes that turn categories into codes."""
    from onnx import TensorProto, helper

    inputs, nodes = [], []
    if encoder.n_numeric:
        inputs.append(helper.make_tensor_value_info("numeric", TensorProto.FLOAT, ["rows", encoder.n_numeric]))
    if encoder.categories:
        width = len(encoder.categories)
        inputs.append(helper.make_tensor_value_info("categorical", TensorProto.STRING, ["rows", width]))
        texts = [f"text_{column}" for column in range(width)]
        nodes.append(helper.make_node("Split", ["categorical"], texts, name="columns", axis=1, num_outputs=width))
    for column, levels in enumerate(encoder.categories.values()):
        vocabulary = levels or ("",)
        nodes.append(
            helper.make_node(
                "LabelEncoder",
                [f"text_{column}"],
                [f"code_{column}"],
                name=f"encode_{column}",
                domain="ai.onnx.ml",
                keys_strings=list(vocabulary),
                values_floats=[float(code) for code in range(len(vocabulary))] if levels else [float("nan")],
                default_float=float("nan"),
            )
        )
    return inputs, nodes


def _parts(encoder: Encoder) -> list[str]:
    codes = [f"code_{column}" for column in range(len(encoder.categories))]
    return ["numeric", *codes] if encoder.n_numeric else codes


def _strip(model: onnx.ModelProto) -> None:
    """Remove source paths and other traces of the exporting process."""
    for part in (model.graph, *model.graph.node, *model.graph.initializer, *model.graph.value_info):
        del part.metadata_props[:]
    for function in model.functions:
        for part in (function, *function.node, *function.value_info):
            del part.metadata_props[:]
    for node in (*model.graph.node, *(node for function in model.functions for node in function.node)):
        node.doc_string = ""


def session(content: bytes, *, device: str = "cpu", threads: int = 1) -> ort.InferenceSession:
    """Return an ONNX Runtime session on "cpu", or on "cuda:0" where a GPU is leased; log it if it gets none."""
    import onnxruntime as ort

    providers = ["CPUExecutionProvider"]
    options_of = [dict[str, str]()]
    if device != "cpu":
        ort.preload_dlls()  # finds the CUDA libraries that pip installed
        # TF32 would round to 10 bits of mantissa: scores would differ from those of a CPU in the third digit
        providers, options_of = ["CUDAExecutionProvider", *providers], [{"use_tf32": "0"}, *options_of]
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    onnx_session = ort.InferenceSession(content, options, providers=providers, provider_options=options_of)
    if lost := [provider for provider in providers if provider not in onnx_session.get_providers()]:
        _log.warning("ONNX Runtime did not give %s; the model runs on %s", lost, onnx_session.get_providers())
    return onnx_session


def described(content: bytes) -> dict[str, str]:
    """Return the metadata that `export` put into a model."""
    import onnx

    return {entry.key: entry.value for entry in onnx.load_from_string(content).metadata_props}


def task_of(content: bytes) -> Task:
    """Return the task of an exported model."""
    return task_in(described(content))


def task_in(metadata: Mapping[str, str]) -> Task:
    """Return the task that an exported model's metadata names."""
    task = json.loads(metadata.get("sextant.task", "{}"))
    return Task.stored(task) if task else BINARY


def predict(onnx_session: ort.InferenceSession, encoder: Encoder, frame: pd.DataFrame) -> np.ndarray:
    """Return the answers to a feature frame, float64 [n_rows] or [n_rows, n_classes] or [n_rows, n_targets]."""
    scores: np.ndarray = np.asarray(onnx_session.run(["score"], encoder.inputs(frame))[0], dtype=np.float64)
    return scores


def _one_by_one(onnx_session: ort.InferenceSession, encoder: Encoder, frame: pd.DataFrame) -> np.ndarray:
    """Return the same of requests of one row."""
    inputs = encoder.inputs(frame)
    requests = ({name: values[[row]] for name, values in inputs.items()} for row in range(len(frame)))
    return np.array([onnx_session.run(["score"], request)[0][0] for request in requests], dtype=np.float64)


def measure_parity(
    model: FittedModel,
    encoder: Encoder,
    content: bytes,
    frame: pd.DataFrame,
    tolerance: float = 1e-5,
    device: str = "cpu",
) -> Parity:
    """Compare both models on all real rows, on what breaks conversions, and rows alone against the batch.

    What breaks conversions is tried on at most `CASE_ROWS` of the rows. Without rows nothing is known: NaN. Raises
    ParityError with the case that one of the models cannot answer.
    """
    onnx_session, about = session(content, device=device), described(content)
    task, family = task_in(about), about.get("sextant.family", type(model).__name__)
    providers = tuple(onnx_session.get_providers())
    if frame.empty:
        return Parity(0, tolerance, {"real rows": float("nan")}, providers, family)

    exported = partial(_answers, f"the ONNX model of {family}", partial(predict, onnx_session, encoder))
    single = partial(_answers, f"the ONNX model of {family}", partial(_one_by_one, onnx_session, encoder))
    native = partial(_answers, f"the native {family}", model.predict)
    cases, alone, unit = dict[str, float](), list[float](), 1.0
    some = parity_cases(model, encoder, frame.iloc[places(frame, CASE_ROWS)])
    for case, rows in {"real rows": frame, **some}.items():
        answers, converted = native(case, encoder.encode(rows)), exported(case, rows)
        unit = task.unit(answers) if case == "real rows" else unit
        wide = float(np.ptp(answers)) if task.kind == "regression" else 0.0
        cases[case] = _apart(answers, converted) / max(unit, wide)
        few = places(rows, ALONE)
        alone.append(_apart(single(f"{case}, one row alone", rows.iloc[few]), converted[few]) / max(unit, wide))
    return Parity(len(frame), tolerance, {**cases, "one row alone": float(np.max(alone))}, providers, family)


def _answers(model: str, predicting: Callable[[Any], np.ndarray], case: str, rows: Any) -> np.ndarray:
    """Return what a model answers; raises ParityError, which names it and the case, whatever its library raises."""
    try:
        return predicting(rows)
    except Exception as error:
        raise ParityError(f"{model} cannot answer the case {case!r}: {error}") from error


def _apart(one: np.ndarray, other: np.ndarray) -> float:
    """Return the largest difference of answers; NaN where one of them is no finite number."""
    with np.errstate(invalid="ignore"):
        difference = np.max(np.abs(one - other))
    return float(difference) if np.isfinite(difference) else float("nan")


def places(frame: pd.DataFrame, most: int) -> np.ndarray:
    """Return the positions of at most so many rows, from the first one to the last."""
    return np.linspace(0, len(frame) - 1, min(most, len(frame))).astype(int)
