#!/usr/bin/env bash
# DuckDB takes NaN for a null from pandas and NumPy, and for the greatest number from Arrow and Parquet.
#
# Versions: DuckDB 2.0.0, pandas 2.3.3, pyarrow 25.0.1, Python 3.11.
# Expected: one column of floats has one count and one maximum, whichever library holds it.
# Behaviour: from a DataFrame NaN is NULL: it is not counted and meets no condition. From an Arrow table of the same floats
# it is a value above infinity: it is counted, is the maximum, and meets `x > 0.5`; so does 0 / 0 of two columns.
# Seen: 1.0, NaN: pandas and NumPy count 1, max 1.0, one row above 0.5; Arrow and Parquet count 2, max nan, two rows;
# 0/0 > 0.5 is true.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  duckdb==2.0.0 pandas==2.3.3 pyarrow==25.0.1 numpy==2.4.6
venv/bin/python - <<'PYTHON'
import math

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

values = np.array([1.0, np.nan])
frame, arrays, arrow = pd.DataFrame({"x": values}), {"x": values}, pa.table({"x": values})
pq.write_table(arrow, "x.parquet")


def figures(source):
    query = f"select count(x), max(x), count(*) filter (x > 0.5) from {source}"
    count, largest, above = duckdb.sql(query).fetchall()[0]
    print(f"{source}: count {count}, max {largest}, {above} above 0.5")
    return count, math.isnan(largest), above


assert figures("frame") == figures("arrays") == (1, False, 1), "pandas or NumPy changed"
assert figures("arrow") == figures("'x.parquet'") == (2, True, 2), "Arrow or Parquet changed"
(above,) = duckdb.sql("select 0.0::double / 0.0::double > 0.5").fetchall()[0]
print("0/0 > 0.5:", above)
assert above is True, "0/0 changed"
PYTHON
