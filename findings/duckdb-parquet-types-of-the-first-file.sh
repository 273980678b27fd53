#!/usr/bin/env bash
# DuckDB reads a list of Parquet files with the types of the first: a fraction in a later file is cut off in silence.
#
# Versions: DuckDB 2.0.0, pyarrow 25.0.1 (it wrote the files), Python 3.11.
# Expected: the wider type, as a union of two tables gives it; or an error about the schemas.
# Behaviour: whole numbers in the first file make the column BIGINT, and 2.5 in the second comes out as 2. The order of the
# names decides: the other way round nothing is lost. `union_by_name=true` widens.
# Seen: 1 2 2 4; the other way round 2.5 3.5 1.0 2.0; by name 1.0 2.0 2.5 3.5.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  duckdb==2.0.0 pyarrow==25.0.1 numpy==2.4.6
venv/bin/python - <<'PYTHON'
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

pq.write_table(pa.table({"x": [1, 2]}), "january.parquet")
pq.write_table(pa.table({"x": [2.5, 3.5]}), "february.parquet")


def read(files, options=""):
    return [value for (value,) in duckdb.sql(f"select x from read_parquet({files}{options})").fetchall()]


first, last = read(["january.parquet", "february.parquet"]), read(["february.parquet", "january.parquet"])
named = read(["january.parquet", "february.parquet"], ", union_by_name=true")
print("integers first:", *first)
print("integers last:", *last)
print("union_by_name:", *named)
assert first == [1, 2, 2, 4], "fractions are no longer cut off"
assert last == [2.5, 3.5, 1.0, 2.0] and named == [1.0, 2.0, 2.5, 3.5], "the other ways changed"
PYTHON
