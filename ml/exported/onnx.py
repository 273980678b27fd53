"""The candidate as one ONNX file, and the proof that it answers as the native model does."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ml.models.family import IR_VERSION, OPSETS, FittedModel, thresholds_of
from ml.tasks.encoding import Encoder
from ml.tasks.metrics import BINARY, Task

if TYPE_CHECKING:
    import onnx
    import onnxruntime as ort

_log = logging.getLogger(__name__)
PARITY = "sextant.parity"  # the metadata that says how far the answers differed from the native model's


class ParityError(ValueError):
    """The ONNX model and the native one disagree."""


@dataclass(frozen=True)
class Parity:
    """The largest difference of answers between native and ONNX model, overall and by case.

    Numbers, the answers of a regression, differ by shares of their spread over the rows.
    """

    rows: int
    tolerance: float
    cases: Mapping[str, float]
    providers: tuple[str, ...]

    @property
    def largest_difference(self) -> float:
        return max(self.cases.values())

    def raise_for_drift(self) -> None:
        """Raises ParityError with the worst case if a difference exceeds the tolerance or is not a number."""
        worst = max(self.cases, key=lambda case: (np.isnan(self.cases[case]), self.cases[case]))
        if not self.cases[worst] <= self.tolerance:
            raise ParityError(
                f"the ONNX model differs from the native one by {self.cases[worst]:.3g} in the case {worst!r} "
                f"({self.rows} rows); allowed: {self.tolerance:.3g}. Do not serve it: check the family's conversion"
            )


def export(model: FittedModel, encoder: Encoder, metadata: Mapping[str, str], task: Task = BINARY) -> bytes:
    """Return a self-contained model.

    It maps `numeric` float32 [N, n_numeric] and `categorical` string [N, n_categorical] (each left out if it has no
    columns) to `score` float32: [N], the probability of the positive class or a number, or
    [N, n_classes], the probability of each class.

    A missing category is the empty string. The same model gives the same bytes, and `task_of` them its task.
    """
    import onnx
    from onnx import compose, helper

    inner = compose.add_prefix(model.to_onnx(), "model_")
    inputs, nodes = _front(encoder)
    nodes.append(helper.make_node("Concat", _parts(encoder), ["model_X"], name="join", axis=1))
    nodes.extend(inner.graph.node)
    classes = [task.outputs] if task.kind == "multiclass" else []
    shape = helper.make_tensor("shape", onnx.TensorProto.INT64, [1 + len(classes)], [-1, *classes])
    nodes.append(helper.make_node("Reshape", ["model_score", "shape"], ["score"], name="answer"))
    graph = helper.make_graph(
        nodes,
        "sextant",
        inputs,
        [helper.make_tensor_value_info("score", onnx.TensorProto.FLOAT, ["rows", *classes])],
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
    names = {"numeric": list(encoder.numeric), "categorical": list(encoder.categories)}
    about = {"sextant.inputs": json.dumps(names), "sextant.task": json.dumps(asdict(task))}
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
    if encoder.numeric:
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
    return ["numeric", *codes] if encoder.numeric else codes


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
    return Task(task["kind"], tuple(task["classes"])) if task else BINARY


def predict(onnx_session: ort.InferenceSession, encoder: Encoder, frame: pd.DataFrame) -> np.ndarray:
    """Return the answers to a feature frame, float64 [n_rows] or [n_rows, n_classes]."""
    scores: np.ndarray = np.asarray(onnx_session.run(["score"], encoder.inputs(frame))[0], dtype=np.float64)
    return scores


def measure_parity(
    model: FittedModel,
    encoder: Encoder,
    content: bytes,
    frame: pd.DataFrame,
    tolerance: float = 1e-5,
    device: str = "cpu",
) -> Parity:
    """Compare both models on real rows, on what breaks conversions, and one row alone against the batch."""
    onnx_session, task = session(content, device=device), task_of(content)
    unit = task.unit(model.predict(encoder.encode(frame)))
    cases = {}
    for name, rows in _cases(model, encoder, frame).items():
        native, converted = model.predict(encoder.encode(rows)), predict(onnx_session, encoder, rows)
        cases[name] = float(np.max(np.abs(native - converted))) / unit
    alone = [predict(onnx_session, encoder, frame.iloc[[row]])[0] for row in range(min(20, len(frame)))]
    apart = np.abs(np.array(alone) - predict(onnx_session, encoder, frame)[: len(alone)])
    cases["one row alone"] = float(np.max(apart)) / unit
    return Parity(len(frame), tolerance, cases, tuple(onnx_session.get_providers()))


def _cases(model: FittedModel, encoder: Encoder, frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
    numeric, categorical = list(encoder.numeric), list(encoder.categories)
    cases = {"real rows": frame}
    if numeric:
        cases["numbers missing"] = frame.assign(**dict.fromkeys(numeric, np.nan))
        cases["beside thresholds"] = _beside_thresholds(model, encoder, frame)
    if categorical:
        cases["categories missing"] = frame.assign(**dict.fromkeys(categorical, None))
        cases["categories unseen"] = frame.assign(**dict.fromkeys(categorical, "\x00never seen"))
    return cases


def _beside_thresholds(model: FittedModel, encoder: Encoder, frame: pd.DataFrame) -> pd.DataFrame:
    """Return each number replaced by one at, just below or just above a value at which the model's answer may jump."""
    rng = np.random.default_rng(0)
    thresholds = thresholds_of(model)
    columns = {}
    for position, name in enumerate(encoder.numeric):
        values = thresholds.get(position, frame[name].to_numpy(dtype=np.float32, na_value=np.nan))
        at = rng.choice(values, len(frame)).astype(np.float32)
        step = rng.choice([-np.inf, np.nan, np.inf], len(frame)).astype(np.float32)
        columns[name] = np.where(np.isnan(step), at, np.nextafter(at, step))
    return frame.assign(**columns)
