#!/usr/bin/env bash
# onnxruntime's ReduceMax, ReduceMin, ArgMax, TopK and Unique lose a NaN, depending on where in the row it stands.
#
# Versions: onnxruntime 1.31.1 on a CPU, onnx 1.23.2 (its reference evaluator), Python 3.11.
# Expected: NaN, as NumPy, PyTorch and onnx's own reference say, and as ReduceSum, ReduceMean, Max, Min, Relu and Clip do.
# Behaviour: a maximum is NaN only if NaN comes first, as each later comparison with NaN is false. So `x.amax(1)`,
# `x.topk(k)` and `x.sort()` of a network that torch.onnx exported answer a number where torch answers NaN.
# Seen: rows 1 nan 3 2 / nan 1 2 3 / 1 2 3 nan: ReduceMax 3 nan 3, ReduceMin 1 nan 1, ArgMax 2 0 2 where the reference says
# 1 0 3, TopK(2) begins with 1 nan 3, Unique has three values; ReduceSum is nan nan nan.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  numpy==2.4.6 onnx==1.23.2 onnxruntime==1.31.1 protobuf==6.33.6
venv/bin/python - <<'PYTHON'
import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

ort.set_default_logger_severity(4)
rows = np.array([[1, np.nan, 3, 2], [np.nan, 1, 2, 3], [1, 2, 3, np.nan]], np.float32)
AXIS, K = (helper.make_tensor(name, TensorProto.INT64, [1], [value]) for name, value in (("axis", 1), ("k", 2)))


def both(operator, inputs, outputs=(("y", TensorProto.FLOAT),), **attributes):
    graph = helper.make_graph(
        [helper.make_node(operator, inputs, [name for name, _ in outputs], **attributes)],
        operator,
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, ["rows", 4])],
        [helper.make_tensor_value_info(name, kind, None) for name, kind in outputs],
        [tensor for tensor in (AXIS, K) if tensor.name in inputs],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    reference = ReferenceEvaluator(model).run(None, {"X": rows})[0]
    answers = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, {"X": rows})[0]
    print(f"{operator}: {answers.tolist()} and the reference {reference.tolist()}")
    return np.array_equal(answers, reference, equal_nan=True)


for operator in ("ReduceMax", "ReduceMin"):
    assert not both(operator, ["X", "axis"], keepdims=0), f"{operator} changed"
for operator in ("ReduceSum", "ReduceMean"):
    assert both(operator, ["X", "axis"], keepdims=0), f"{operator} changed"
assert not both("ArgMax", ["X"], [("y", TensorProto.INT64)], axis=1, keepdims=0), "ArgMax changed"
assert not both("TopK", ["X", "k"], [("y", TensorProto.FLOAT), ("i", TensorProto.INT64)]), "TopK changed"
assert not both("Unique", ["X"], sorted=1), "Unique changed"
PYTHON
