#!/usr/bin/env bash
# pyarrow loses the nulls of a CSV of one column that it has written itself: the rows after them move up.
#
# Versions: pyarrow 25.0.1, Python 3.11.
# Expected: as many rows as were written, of which the second has no value; so it is with two columns.
# Behaviour: a null is written as nothing, so the row is an empty line, and the reader ignores empty lines by default
# (`ParseOptions.ignore_empty_lines`).
# Seen: 1, null, 3 is written as '"a"\n1\n\n3\n' and read as 1, 3; with ignore_empty_lines=False as 1, null, 3.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  pyarrow==25.0.1
venv/bin/python - <<'PYTHON'
from io import BytesIO

import pyarrow as pa
from pyarrow import csv


def read_again(table, **options):
    written = BytesIO()
    csv.write_csv(table, written)
    print(written.getvalue())
    content = csv.read_csv(BytesIO(written.getvalue()), parse_options=csv.ParseOptions(**options)).to_pydict()
    print(content)
    return content


numbers = [1, None, 3]
assert read_again(pa.table({"a": numbers})) == {"a": [1, 3]}, "the default changed"
assert read_again(pa.table({"a": numbers}), ignore_empty_lines=False) == {"a": numbers}, "the option changed"
assert read_again(pa.table({"a": numbers, "b": numbers})) == {"a": numbers, "b": numbers}, "two columns changed"
PYTHON
