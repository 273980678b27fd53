#!/usr/bin/env bash
# pyarrow makes 1.0 of True where floats are asked for, in the middle of a list too, and refuses 1 where flags are.
#
# Versions: pyarrow 25.0.1, Python 3.11.
# Expected: an error both ways, as for texts among numbers: the type was given so that nothing has to be guessed.
# Behaviour: pa.array([0.5, True], pa.float64()) is [0.5, 1.0], pa.array([1], pa.bool_()) is an error, and so is True for an
# integer: pa.array([True], pa.int64()).
# Seen: a service that built its columns so took {"age": true} for 1 year, which its own check of a record refuses.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  pyarrow==25.0.1 numpy==2.4.6
venv/bin/python - <<'PYTHON'
import pyarrow as pa


def made(values, kind):
    try:
        return pa.array(values, kind).to_pylist()
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        return f"refused: {error}"


floats, flags = made([0.5, True], pa.float64()), made([True, 1], pa.bool_())
texts, integers = made([0.5, "1"], pa.float64()), made([1, True], pa.int64())
print("floats:", floats, "| integers:", integers, "| flags:", flags, "| texts:", texts)
assert floats == [0.5, 1.0], "floats changed"
assert all("refused" in one for one in (flags, texts, integers)), "flags, texts or integers changed"
PYTHON
