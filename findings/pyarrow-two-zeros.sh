#!/usr/bin/env bash
# pyarrow groups and joins 0.0 and -0.0 as different keys, though it says that they are equal.
#
# Versions: pyarrow 25.0.1, DuckDB 2.0.0, Python 3.11.
# Expected: one group, one match, as in DuckDB over the very same table, pandas and SQL.
# Behaviour: `group_by` and `join` compare keys by their bits. -0.0 comes from rounding or negating, and prints like any zero.
# Seen: pyarrow: two groups, one of two rows matched; `equal` says true; DuckDB: one group, two rows matched.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  pyarrow==25.0.1 duckdb==2.0.0 numpy==2.4.6
venv/bin/python - <<'PYTHON'
import duckdb
import pyarrow as pa
import pyarrow.compute as pc

signed = pa.table({"key": [0.0, -0.0], "value": [1, 2]})
plain = pa.table({"key": [0.0], "other": [9]})
groups = signed.group_by("key").aggregate([("value", "sum")]).num_rows
matched = signed.join(plain, "key", join_type="inner").num_rows
equal = pc.equal(signed["key"][0], signed["key"][1]).as_py()
groups_of_duckdb = len(duckdb.sql("select key from signed group by key").fetchall())
matched_by_duckdb = len(duckdb.sql("from signed join plain using (key)").fetchall())
print(f"pyarrow: {groups} groups, {matched} of 2 rows matched, equal: {equal}")
print(f"DuckDB: {groups_of_duckdb} groups, {matched_by_duckdb} of 2 rows matched")
assert (groups, matched, equal) == (2, 1, True), "pyarrow changed"
assert (groups_of_duckdb, matched_by_duckdb) == (1, 2), "DuckDB changed"
PYTHON
