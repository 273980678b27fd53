"""A model repository of NVIDIA Triton: the ONNX file, and a configuration that says its inputs, output and batches."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from dagster_project.exports.facts import Facts, facts
from dagster_project.exports.model_file import MODEL, README, page

TYPES = {"tensor(float)": "TYPE_FP32", "tensor(double)": "TYPE_FP64", "tensor(string)": "TYPE_STRING"}
MOST_ROWS = 10_000  # of a request, as of one to the service by default
LABELS = "labels.txt"


def export(bundle: Path, folder: Path) -> Path:
    """Write a model repository with the model of a bundle into a folder; return the model's folder."""
    about = facts(bundle)
    place = folder / about.use_case
    version = place / about.version
    version.mkdir(parents=True)
    shutil.copyfile(bundle / MODEL, version / MODEL)
    (place / "config.pbtxt").write_text(configuration(about))
    if about.classes:
        (place / LABELS).write_text("".join(f"{name}\n" for name in about.classes))
    (place / README).write_text(page(about, f"{about.version}/{MODEL}"))
    return place


def configuration(about: Facts) -> str:
    """Return the text of `config.pbtxt`.

    Its dimensions leave out that of the rows, which Triton batches; a score of one number has no others, and Triton
    wants one: it is told to add it.
    """
    return "\n".join(
        [
            f"name: {json.dumps(about.use_case)}",
            'platform: "onnxruntime_onnx"',
            f"max_batch_size: {MOST_ROWS}",
            *_inputs(about),
            *_output(about),
            "dynamic_batching { }",
            "instance_group [ { kind: KIND_CPU, count: 1 } ]",
            *_parameters(about),
            "",
        ]
    )


def _inputs(about: Facts) -> Iterator[str]:
    for name, features in about.features.items():
        described = f"name: {json.dumps(name)}, data_type: {TYPES[about.types[name]]}, dims: [ {len(features)} ]"
        yield f"input [ {{ {described} }} ]"


def _output(about: Facts) -> Iterator[str]:
    one = "dims: [ 1 ], reshape { shape: [ ] }"
    several = f"dims: [ {len(about.classes)} ], label_filename: {json.dumps(LABELS)}"
    yield f'output [ {{ name: "score", data_type: {TYPES[about.answered]}, {several if about.classes else one} }} ]'


def _parameters(about: Facts) -> Iterator[str]:
    parameters = {"intra_op_thread_count": "1", "sextant.coordinates": about.coordinates}
    if about.thresholds and not about.classes:
        parameters["sextant.threshold"] = repr(about.thresholds[0])
    for name, value in parameters.items():
        yield f"parameters {{ key: {json.dumps(name)}, value: {{ string_value: {json.dumps(value)} }} }}"
