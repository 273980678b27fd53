#!/usr/bin/env bash
# DuckDB rounds 2.5 to 3 or to 2, depending on whether it is a literal or a column, and `//` need not be whole.
#
# Versions: DuckDB 2.0.0, Python 3.11.
# Expected: one way of rounding; `//` divides and drops the remainder, as its name and 7 // 2 = 3 say.
# Behaviour: a literal, a text and a DECIMAL are rounded half away from zero, a DOUBLE half to even. A query that is tried
# with a literal says nothing about the column. `//` of decimals and doubles is the usual division.
# Seen: 2.5 → 3 from the literal, the text and DECIMAL, 2 from DOUBLE; 7.5 // 2 = 3.75, 7 // 2 = 3.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  duckdb==2.0.0
venv/bin/python - <<'PYTHON'
import duckdb

names = ["2.5", "'2.5'", "2.5::DECIMAL(2,1)", "2.5::DOUBLE"]
whole = duckdb.sql("select " + ", ".join(f"cast({name} as integer)" for name in names)).fetchall()[0]
divided = [float(value) for value in duckdb.sql("select 7.5 // 2, 7.5::double // 2::double, 7 // 2").fetchall()[0]]
print(dict(zip(names, whole)))
print("7.5 // 2, its double, 7 // 2:", divided)
assert whole == (3, 3, 3, 2), "rounding changed"
assert divided == [3.75, 3.75, 3], "// changed"
PYTHON
