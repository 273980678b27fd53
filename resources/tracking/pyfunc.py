"""A registered version as MLflow's `python_function`: what it takes and answers, and the code that it is loaded by."""

import io
import shutil
import zipfile
from collections.abc import Mapping
from importlib.metadata import version as installed
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml.exported.model import ExportedModel
from ml.features.online_state import cutoff_column
from ml.tables.types import RecordType
from resources.bentos import SERVICE

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

LOADER = "service.frames.pyfunc"
BUNDLE = "bundle.zip"  # which the loader unpacks
CODE = "code"
_RUNTIME = "duckdb msgspec numpy onnxruntime-gpu pandas pyarrow"
# MLflow takes no whole numbers for its `double`, and no missing ones for its `boolean`: the service checks these.
_TYPES: dict[RecordType, str] = {"time": "datetime", "text": "string", "number": "any", "flag": "any"}


def save(content: bytes, path: Path) -> None:
    """Write an ONNX model of this project to a new folder, as MLflow's flavors `onnx` and `python_function`.

    Any other ONNX model is an `onnx` alone, whose inputs are its own.
    """
    import mlflow.onnx
    import onnx

    requirements = [f"{package}=={installed(package)}" for package in (*_RUNTIME.split(), "onnx")]
    model = ExportedModel(content)
    ours = "sextant.definitions" in model.metadata
    mlflow.onnx.save_model(
        onnx.load_from_string(content),
        str(path),
        pip_requirements=requirements if ours else ["onnx", "onnxruntime"],
        onnx_execution_providers=["CPUExecutionProvider"],  # else MLflow asks for CUDA wherever it is loaded, and warns
        signature=signature(model) if ours else None,
    )
    (path / "model.onnx").write_bytes(content)  # these very bytes: MLflow has serialized them anew
    if ours:
        _load_by_service(path, model)


def _load_by_service(path: Path, model: ExportedModel) -> None:
    """Let the saved model be loaded by the service's code, a copy of which travels with it."""
    from mlflow.models import Model
    from mlflow.pyfunc import FLAVOR_NAME, add_to_model

    shutil.copytree(SERVICE, path / CODE / SERVICE.name, ignore=shutil.ignore_patterns("__pycache__"))
    file = path / "MLmodel"
    saved = Model.load(str(file))
    env: dict[str, Any] = saved.flavors[FLAVOR_NAME]["env"]
    add: Any = add_to_model  # MLflow's is not typed
    add(saved, loader_module=LOADER, code=CODE, conda_env=env["conda"], python_env=env["virtualenv"])
    saved.metadata = {"sextant.record": dict(model.definitions.record)}
    saved.save(str(file))


def signature(model: ExportedModel) -> "ModelSignature":
    """Return what a version takes, by the names of the business, and what it answers."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema
    from mlflow.types.schema import AnyType, Array, DataType

    untyped: Any = AnyType  # MLflow's constructor is

    def kind(name: str) -> Any:
        return untyped() if name == "any" else DataType[name]

    required = cutoff_column(model.served)
    record = {name: kind(_TYPES[of_record]) for name, of_record in sorted(model.definitions.record.items())}
    inputs: list[Any] = [ColSpec(of_column, name, required=name == required) for name, of_column in record.items()]
    task, single = model.task, {"score": "double"}
    answers = {"class": "string", **single} if task.kind == "multiclass" else {} if task.targets else single
    answers |= {} if model.half_width is None else dict.fromkeys(("lower", "upper"), "double")
    answers |= {f"probability_{name}": "double" for name in task.targets or task.classes}
    decisions = [f"decision_{name}" for name in task.targets] or ["decision" for _ in model.thresholds]
    answers |= dict.fromkeys(decisions, "boolean")
    outputs: list[Any] = [ColSpec(kind(type_name), name) for name, type_name in answers.items()]
    return ModelSignature(Schema(inputs), Schema([*outputs, ColSpec(Array(DataType.string), "warnings")]))


def pack(files: Mapping[str, bytes]) -> bytes:
    """Return the files of a Bento's bundle, but for the model, as one; the same files give the same bytes."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as packed:
        for name in sorted(files.keys() - {"model.onnx"}):
            packed.writestr(zipfile.ZipInfo(name), files[name], zipfile.ZIP_DEFLATED, 1)
    return sink.getvalue()
