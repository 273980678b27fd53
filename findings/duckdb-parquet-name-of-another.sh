#!/usr/bin/env bash
# DuckDB renames columns of a Parquet file that differ by case only, and the new name may be another column's own.
#
# Versions: DuckDB 2.0.0, pyarrow 25.0.1 (it wrote the file), Python 3.11.
# Expected: size_1 is the column that the file calls size_1; or an error about names that SQL does not tell apart.
# Behaviour: Size beside size becomes Size_1, and the file's own size_1 becomes size_1_1: to ask for size_1 gives Size.
# Seen: size 10, Size 20, size_1 30: `select size_1` is 20.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check duckdb==2.0.0 pyarrow==25.0.1
venv/bin/python - <<'PYTHON'
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

pq.write_table(pa.table([pa.array([10]), pa.array([20]), pa.array([30])], ["size", "Size", "size_1"]), "x.parquet")
(row,) = duckdb.sql("select size_1 from 'x.parquet'").fetchall()
print("size_1:", row[0])
assert row == (20,), "the names changed"
PYTHON
