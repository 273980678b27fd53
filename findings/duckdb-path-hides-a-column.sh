#!/usr/bin/env bash
# DuckDB reads columns out of the folders' names of one Parquet file, and puts them over columns that the file has.
#
# Versions: DuckDB 2.0.0, pyarrow 25.0.1 (it wrote the file), Python 3.11.
# Expected: the path of a single file that is named in full is an address and no data; at least a column of the file wins.
# Behaviour: `read_parquet` finds `year=2024` in the path, adds the column, and where the file has one of this name its
# values are replaced. `hive_partitioning=false` reads what is in the file.
# Seen: the file says year 1999, the answer is 2024, with a further column `store`.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  duckdb==2.0.0 pyarrow==25.0.1 numpy==2.4.6
venv/bin/python - <<'PYTHON'
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

path = Path("year=2024/store=x/rows.parquet")
path.parent.mkdir(parents=True)
pq.write_table(pa.table({"value": [1], "year": [1999]}), path)
rows = duckdb.sql(f"from read_parquet('{path}')")
plain = duckdb.sql(f"from read_parquet('{path}', hive_partitioning=false)")
print("as it is:", rows.columns, rows.fetchall())
print("without partitions:", plain.columns, plain.fetchall())
assert rows.columns == ["value", "year", "store"] and rows.fetchall() == [(1, 2024, "x")], "folders' names changed"
assert plain.fetchall() == [(1, 1999)], "hive_partitioning=false changed"
PYTHON
