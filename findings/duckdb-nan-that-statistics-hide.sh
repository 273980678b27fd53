#!/usr/bin/env bash
# DuckDB says that a NaN of a Parquet file is none, where the file's statistics leave it out, as they should.
#
# Versions: DuckDB 2.0.0, pyarrow 25.0.1 (it wrote the file), Python 3.11.
# Expected: isnan(x) is true of a NaN, and `case when not isnan(x) then x end` lets none through; Parquet's format tells
# readers that the minimum and maximum of a column say nothing about NaN.
# Behaviour: from a maximum of 1.5 the optimizer concludes that no value is NaN, and folds isnan(x), x > 5 and
# x <> 'nan' into constants. One infinity in the column, or a file without statistics, and they are right.
# `set disabled_optimizers = 'statistics_propagation'` helps; a condition in WHERE still leaves out whole row groups.
# Seen: NaN, 0.5, 1.5: isnan is false three times and the NaN comes through; without that optimizer it becomes null.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check duckdb==2.0.0 pyarrow==25.0.1
venv/bin/python - <<'PYTHON'
import math

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

pq.write_table(pa.table({"x": [math.nan, 0.5, 1.5]}), "x.parquet")
query = "select isnan(x), case when not isnan(x) then x end from 'x.parquet'"
connection = duckdb.connect()
usual = connection.execute(query).fetchall()
connection.execute("set disabled_optimizers = 'statistics_propagation'")
careful = connection.execute(query).fetchall()
print("usual:  ", usual)
print("careful:", careful)
assert [row[0] for row in usual] == [False] * 3 and math.isnan(usual[0][1]), "DuckDB's conclusion changed"
assert careful == [(True, None), (False, 0.5), (False, 1.5)], "the way out changed"
PYTHON
