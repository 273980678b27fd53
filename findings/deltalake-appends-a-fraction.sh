#!/usr/bin/env bash
# Delta Lake appends 1.7 to a column of integers as 1, also where it was asked to merge the schemas.
#
# Versions: deltalake 1.6.6, pyarrow 25.0.1, Python 3.11.
# Expected: an error about the type, as a text raises one; with `schema_mode="merge"` an error or a wider column.
# Behaviour: doubles are cast to the table's int64 and cut, without an error. A text that is no number is refused.
# Seen: 1 1 1 from the appended 1.7, 1.7 and the first row.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  deltalake==1.6.6 pyarrow==25.0.1
venv/bin/python - <<'PYTHON'
import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

write_deltalake("table", pa.table({"x": pa.array([1], pa.int64())}))
write_deltalake("table", pa.table({"x": [1.7]}), mode="append")
write_deltalake("table", pa.table({"x": [1.7]}), mode="append", schema_mode="merge")
values = sorted(value.as_py() for value in pa.table(DeltaTable("table").to_pyarrow_table())["x"])
print("stored:", *values)
assert values == [1, 1, 1], "fractions changed"
PYTHON
