#!/usr/bin/env bash
# pyarrow's CSV reader takes a quote that is never closed as one value that reaches to the end of the file.
#
# Versions: pyarrow 25.0.1, Python 3.11.
# Expected: an error (an open quote at the end of the file), all the more with `newlines_in_values=False`, the default, which
# says that no value has a line break.
# Behaviour: no error; all the rows behind the quote become text of one row, and the table is short.
# Seen: 3 rows of a file with one inch mark become 1 row: 'an inch is 2.5 cm\n2,plain\n3,plain\n'.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  pyarrow==25.0.1 numpy==2.4.6
venv/bin/python - <<'PYTHON'
import io

import pyarrow.csv as csv

text = b'id,text\n1,"an inch is 2.5 cm\n2,plain\n3,plain\n'
table = csv.read_csv(io.BytesIO(text), parse_options=csv.ParseOptions(newlines_in_values=False))
print(table.num_rows, "row:", table.to_pylist())
assert table.num_rows == 1 and table["text"][0].as_py() == "an inch is 2.5 cm\n2,plain\n3,plain\n", "open quotes changed"
PYTHON
