#!/usr/bin/env bash
# A converted TfidfVectorizer loses words with letters beyond ASCII, and does not load where a locale is not installed.
#
# Versions: scikit-learn 1.9.1, skl2onnx 1.20.0, onnxruntime 1.31.1 on a CPU, Python 3.11.
# Expected: the vector that scikit-learn gives, or an error when it is converted.
# Behaviour: `\w` of the operator Tokenizer, which is RE2's, is ASCII: "été" and "很好" are no words, whatever was learned.
# Lower case is made by StringNormalizer with the C++ locale of its name: with "en_US.UTF-8", which the conversion takes,
# the session cannot be made on a machine or in a container without that locale; "C" leaves É as it is; "C.UTF-8" makes i
# of İ, where Python makes i with a dot above. StringSplit, the standard's own, knows ASCII's spaces alone. char_wb and
# strip_accents are refused.
# Seen: "été froid" differs by 0.707 (the word is lost); StringNormalizer without its locale fails to load.
# So texts become numbers before the graph: service/plan/texts.py.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1 skl2onnx==1.20.0 \
  onnx==1.23.2 onnxruntime==1.31.1 protobuf==6.33.6
venv/bin/python - <<'PYTHON'
import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper
from skl2onnx import to_onnx
from skl2onnx.common.data_types import StringTensorType
from sklearn.feature_extraction.text import TfidfVectorizer

ort.set_default_logger_severity(4)


def session(model):
    return ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def apart(train, asked, **options):
    vectorizer = TfidfVectorizer(**options).fit(train)
    model = to_onnx(vectorizer, initial_types=[("X", StringTensorType([None, 1]))], target_opset={"": 18, "ai.onnx.ml": 3})
    answers = session(model).run(None, {"X": np.array(asked, object).reshape(-1, 1)})[0]
    return float(np.abs(answers - vectorizer.transform(asked).toarray()).max())


def answers(operator, texts, outputs=("y",), **attributes):
    node = helper.make_node(operator, ["X"], list(outputs), **attributes)
    infos = [helper.make_tensor_value_info(name, TensorProto.STRING if name == "y" else TensorProto.INT64, None) for name in outputs]
    graph = helper.make_graph([node], operator, [helper.make_tensor_value_info("X", TensorProto.STRING, ["rows"])], infos)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    return session(model).run(None, {"X": np.array(texts, object)})[0].tolist()


ascii_only = apart(["cold day", "hot night"], ["cold night"], lowercase=False)
print(f"ASCII words: apart by {ascii_only:.2g}")
assert ascii_only < 1e-6
for train, asked in ((["été chaud", "froid dur"], "été froid"), (["很好 x1", "froid dur"], "很好 froid")):
    lost = apart(train, [asked], lowercase=False)
    print(f"{asked}: apart by {lost:.3f}")
    assert lost > 0.1, "words beyond ASCII are no longer lost"
for options in ({"analyzer": "char_wb"}, {"strip_accents": "unicode"}):
    try:
        apart(["good day", "bad day"], ["good"], **options)
    except NotImplementedError:
        continue
    raise AssertionError(f"{options} can be converted now")

lower = {"case_change_action": "LOWER"}
try:
    answers("StringNormalizer", ["A"], locale="xx_XX.UTF-8", **lower)
    raise AssertionError("a locale that is not installed is no longer asked for")
except ort.capi.onnxruntime_pybind11_state.Fail as error:
    print(f"a locale that is not there: {str(error).splitlines()[0][:110]}…")
print("by C:", answers("StringNormalizer", ["É"], locale="C", **lower), "by Python:", "É".lower())
assert answers("StringNormalizer", ["É"], locale="C", **lower) == ["É"], "C knows É now"
split = answers("StringSplit", ["a\u00a0b"], ("y", "n"))
print("split:", split, "by Python:", "a\u00a0b".split())
assert split == [["a\u00a0b"]], "StringSplit knows Unicode's spaces now"
PYTHON
