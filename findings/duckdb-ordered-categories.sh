#!/usr/bin/env bash
# DuckDB sorts an ordered category of pandas by its order and compares it by its text.
#
# Versions: DuckDB 2.0.0, pandas 2.3.3, Python 3.11.
# Expected: `order by size` and `where size > 'low'` go by the same order.
# Behaviour: the column becomes an ENUM in the order of the categories. It is sorted by that, but a comparison with a text
# turns the ENUM into text: 'high' < 'low' < 'mid'. A cast of the text to the ENUM mends it.
# Seen: sorted: low, mid, high; greater than 'low': mid alone; greater than the ENUM's low: mid, high.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  duckdb==2.0.0 pandas==2.3.3 pyarrow==25.0.1 numpy==2.4.6
venv/bin/python - <<'PYTHON'
import duckdb
import pandas as pd

sizes = pd.Categorical(["high", "low", "mid"], categories=["low", "mid", "high"], ordered=True)
frame = pd.DataFrame({"size": sizes})
ENUM = "ENUM('low', 'mid', 'high')"


def read(clause):
    values = [value for (value,) in duckdb.sql(f"select size from frame {clause}").fetchall()]
    print(f"{clause}: {values}")
    return values


ordered, greater = read("order by size"), read("where size > 'low'")
cast = read(f"where size > 'low'::{ENUM} order by size")
assert ordered == ["low", "mid", "high"], "sorting changed"
assert greater == ["mid"], "comparison changed"
assert cast == ["mid", "high"], "comparison with the ENUM changed"
assert frame[frame["size"] > "low"]["size"].tolist() == ["high", "mid"], "pandas changed"
PYTHON
