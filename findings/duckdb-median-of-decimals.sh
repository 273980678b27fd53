#!/usr/bin/env bash
# DuckDB's median of decimals is cut to the decimals of its column: the median of 1 and 2 is 1.
#
# Versions: DuckDB 2.0.0, Python 3.11.
# Expected: 1.5, as `avg` of the same column and as the median of the same numbers as integers or doubles.
# Behaviour: `median` and `quantile_cont` interpolate in the type of the column, DECIMAL(p, s), and cut what is behind the
# s-th digit; prices in whole units lose the half.
# Seen: DECIMAL(3,0): median 1, avg 1.5; DECIMAL(3,1): of 1.0 and 1.1, 1.0; INTEGER and DOUBLE: 1.5.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  duckdb==2.0.0
venv/bin/python - <<'PYTHON'
import duckdb


def median(kind, one, two):
    query = f"select median(x), quantile_cont(x, 0.5), avg(x) from (values ({one}::{kind}), ({two}::{kind})) t(x)"
    values = [float(value) for value in duckdb.sql(query).fetchall()[0]]
    print(f"{kind}: median {values[0]}, quantile_cont {values[1]}, avg {values[2]}")
    return values


assert median("DECIMAL(3,0)", 1, 2) == [1, 1, 1.5], "DECIMAL(3,0) changed"
assert median("DECIMAL(3,1)", 1.0, 1.1) == [1, 1, 1.05], "DECIMAL(3,1) changed"
assert median("INTEGER", 1, 2) == median("DOUBLE", 1, 2) == [1.5, 1.5, 1.5], "other types changed"
PYTHON
