#!/usr/bin/env bash
# onnxruntime ignores `post_transform="LOGISTIC"` of a TreeEnsembleRegressor with one target, and applies it to two.
#
# Versions: onnxruntime 1.31.1 on a CPU, onnx 1.23.2 (its checker accepts the model), Python 3.11.
# Expected: the logistic function of the sum of the leaves, whatever the number of targets.
# Behaviour: with one target the sum itself comes out, without a warning. A graph needs a Sigmoid of its own.
# Seen: leaves -2 and 2: one target answers -2 and 2, the first of two targets 0.119 and 0.881.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  onnx==1.23.2 onnxruntime==1.31.1 numpy==2.4.6 protobuf==6.33.6
venv/bin/python - <<'PYTHON'
import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper


def answers(targets):
    node = helper.make_node(
        "TreeEnsembleRegressor",
        ["X"],
        ["y"],
        domain="ai.onnx.ml",
        n_targets=targets,
        nodes_treeids=[0, 0, 0],
        nodes_nodeids=[0, 1, 2],
        nodes_featureids=[0, 0, 0],
        nodes_modes=["BRANCH_LEQ", "LEAF", "LEAF"],
        nodes_values=[0.0, 0.0, 0.0],
        nodes_truenodeids=[1, 0, 0],
        nodes_falsenodeids=[2, 0, 0],
        target_treeids=[0, 0],
        target_nodeids=[1, 2],
        target_ids=[0, 0],
        target_weights=[-2.0, 2.0],
        post_transform="LOGISTIC",
    )
    graph = helper.make_graph(
        [node],
        "tree",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, ["rows", 1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", targets])],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"X": np.array([[-1], [1]], np.float32)})[0][:, 0]


one, two = answers(1), answers(2)
print("one target:", one, "the first of two:", two.round(3))
assert np.allclose(one, [-2, 2]), "the link of one target is applied now"
assert np.allclose(two, 1 / (1 + np.exp([2.0, -2.0])), atol=1e-5), "the link of two targets changed"
PYTHON
