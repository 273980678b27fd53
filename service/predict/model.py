"""The model: one ONNX Runtime session, on a GPU where there is one."""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from service.explain.document import KEY as EXPLAINER
from service.plan.document import BundleError, Task
from service.plan.texts import Vocabulary
from service.predict.answers import Interval
from service.predict.explaining import Explaining
from service.predict.features import Inputs, Matrices
from service.predict.metadata import carried
from service.records.usual import UsualColumn

logger = logging.getLogger("bentoml.sextant")

CUDA = "CUDAExecutionProvider"
CPU = "CPUExecutionProvider"
BINARY = Task()

# Training keeps as many categories of a column as this: one that has fewer has all of them.
MOST_CATEGORIES = 255


class _DeclaredInputs(msgspec.Struct):
    numeric: list[str]
    categorical: list[str]
    texts: list[Vocabulary] = []


class _Threshold(msgspec.Struct):
    value: float


class _Conformal(msgspec.Struct):
    wanted: float
    half_width: float | None
    rows: int


class _Reference(msgspec.Struct):
    threshold: _Threshold | None = None
    quantiles: list[float] = []
    interval: _Conformal | None = None
    targets: dict[str, _Reference] = {}


class _Table(msgspec.Struct):
    key: str | list[str] = ""


class _Examples(msgspec.Struct):
    table: str = ""


class _Declared(msgspec.Struct):
    examples: _Examples = msgspec.field(default_factory=_Examples)
    tables: dict[str, _Table] = {}


class _Encoder(msgspec.Struct):
    categories: dict[str, list[str]] = {}


class Model:
    """Scores feature matrices; `providers` are those in use, `requested` those that were asked for.

    `shape` is that of the answer to a row; `thresholds` are the probabilities from which on the answer is a yes, that
    of each target, none where there is none; `keys` are the columns that name a row of the examples' table; `interval`
    is that around predicted numbers, and `no_interval` says why there is none; `is_explained` is whether it carries
    what its answers are explained by; `usual` is what was usual in training, `categories` are those that it knows of
    each categorical feature, and `quantiles` those of a regression's answers to validation rows.

    Raises BundleError if the model is for another task, or does not say which features it takes.
    """

    def __init__(self, session: Any, requested: Sequence[str], task: Task = BINARY) -> None:
        self.session = session
        several = task.targets or task.classes
        self.shape = (len(several),) if several else ()
        _check_task(session, task)
        self.requested = list(requested)
        self.providers: list[str] = session.get_providers()
        self.inputs, self.task = _inputs(session), task
        self.thresholds = _thresholds(session, task)
        self.keys = _keys(session)
        self.interval, self.no_interval = _interval(session)
        self.is_explained = EXPLAINER in session.get_modelmeta().custom_metadata_map
        self.usual = carried(session, "sextant.usual", dict[str, UsualColumn])
        self.quantiles = carried(session, "sextant.reference", _Reference).quantiles
        self.categories = carried(session, "sextant.encoder", _Encoder).categories
        self._names = [node.name for node in session.get_inputs()]
        if downgraded := [provider for provider in self.requested if provider not in self.providers]:
            logger.warning("the model runs without %s, which was asked for; it runs on %s", downgraded, self.providers)

    def score(self, matrices: Matrices) -> NDArray[np.float64]:
        """Answer each row, [n_rows], or of many classes or targets [n_rows, n_answers], which may not be finite.

        Raises ArithmeticError if the model yields another shape.
        """
        (scores,) = self.session.run(["score"], {name: getattr(matrices, name) for name in self._names})
        rows = len(matrices.warnings)
        if scores.shape != (rows, *self.shape):
            raise ArithmeticError(f"{rows} records were answered with {scores.shape} scores")
        return np.asarray(scores, dtype=np.float64)

    @cached_property
    def explaining(self) -> Explaining:
        """The explaining of its answers, made when it is first asked for; raises UnexplainedError if nothing can."""
        return Explaining(self.session, self.inputs, self.task)


def load_model(path: Path, task: Task = BINARY) -> Model:
    """Load the model at `path`, with one thread: more cost time for the small batches that a service sees."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    providers = providers_to_request(onnxruntime.get_available_providers(), cuda_devices())
    if CUDA in providers:
        onnxruntime.preload_dlls()  # finds the CUDA libraries that pip installed
    # TF32 would round to 10 bits of mantissa: scores would differ from those of a CPU in the third digit
    configured: list[Any] = [(CUDA, {"use_tf32": "0"}) if provider == CUDA else provider for provider in providers]
    return Model(onnxruntime.InferenceSession(str(path), options, providers=configured), providers, task)


def providers_to_request(available: Sequence[str], devices: int) -> list[str]:
    """Return CUDA first if the machine has a GPU and the installed runtime can use one; else the CPU alone."""
    if devices and CUDA not in available:
        logger.warning("%d GPUs are not used: install onnxruntime-gpu, as `bento: {extras: [gpu]}` does", devices)
    return [CUDA, CPU] if devices and CUDA in available else [CPU]


def cuda_devices() -> int:
    """Count the GPUs that the driver shows this process; the runtime lists CUDA even where there is none."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value


def _check_task(session: Any, task: Task) -> None:
    metadata = session.get_modelmeta().custom_metadata_map
    try:
        trained = msgspec.json.decode(metadata.get("sextant.task", "{}"), type=Task)
    except msgspec.DecodeError as error:
        raise BundleError("model.onnx", [f"its metadata 'sextant.task': {error}"]) from None
    if trained != task:
        tasks = f"its task is {_description(task)}, and that of model.onnx {_description(trained)}"
        raise BundleError("plan.json", [tasks])


def _description(task: Task) -> str:
    several = task.targets or task.classes
    return f"{task.kind} of {list(several)}" if several else task.kind


def _thresholds(session: Any, task: Task) -> list[float]:
    reference = carried(session, "sextant.reference", _Reference)
    if missing := sorted(set(task.targets) - reference.targets.keys()):
        raise BundleError("model.onnx", [f"its metadata 'sextant.reference' has no threshold of the targets {missing}"])
    references = [reference.targets[name] for name in task.targets] or [reference]
    return [of_target.threshold.value for of_target in references if of_target.threshold]


def _interval(session: Any) -> tuple[Interval | None, str]:
    """Return the interval around predicted numbers, or why there is none."""
    carries = carried(session, "sextant.reference", _Reference).interval
    if carries is None:
        return None, "the model carries none"
    if carries.half_width is None:
        return None, f"{carries.rows} validation rows are too few for one that is to hold {carries.wanted:g} of them"
    return Interval(carries.wanted, carries.half_width), ""


def _keys(session: Any) -> list[str]:
    declared = carried(session, "sextant.spec", _Declared)
    table = declared.tables.get(declared.examples.table, _Table())
    return [name for name in ([table.key] if isinstance(table.key, str) else table.key) if name]


def _inputs(session: Any) -> Inputs:
    metadata = session.get_modelmeta().custom_metadata_map
    try:
        declared = msgspec.json.decode(metadata["sextant.inputs"], type=_DeclaredInputs)
    except KeyError:
        raise BundleError("model.onnx", ["its metadata has no 'sextant.inputs', the order of the features"]) from None
    except msgspec.DecodeError as error:
        raise BundleError("model.onnx", [f"its metadata 'sextant.inputs': {error}"]) from None
    numbers = len(declared.numeric) + sum(len(vocabulary.features) for vocabulary in declared.texts)
    widths = {"numeric": numbers, "categorical": len(declared.categorical)}
    nodes = {node.name: node.shape for node in session.get_inputs()}
    problems = [f"input {name!r} is none of {sorted(widths)}" for name in nodes if name not in widths]
    problems += [f"it has no input {name!r}" for name, width in widths.items() if width and name not in nodes]
    problems += [
        f"input {name!r} takes {shape[1]} features, and its metadata names {widths[name]}"
        for name, shape in nodes.items()
        if name in widths and len(shape) == 2 and isinstance(shape[1], int) and shape[1] != widths[name]
    ]
    if "score" not in {node.name for node in session.get_outputs()}:
        problems.append("it has no output 'score'")
    if problems:
        raise BundleError("model.onnx", sorted(problems))
    return Inputs(declared.numeric, declared.categorical, declared.texts)
