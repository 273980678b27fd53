#!/usr/bin/env bash
# pyarrow reads 30 February as 2 March, in `strptime` and in CSV files, while it refuses 32 February.
#
# Versions: pyarrow 25.0.1, Python 3.11.
# Expected: an error, or null with `error_is_null=True`, as for every text that is no date.
# Behaviour: with a format of one's own a day up to 31 is accepted in every month and rolls over. Without a format
# (ISO 8601) the same text is no timestamp and stays text.
# Seen: 2023-02-30 becomes 2023-03-02, 2023-04-31 becomes 2023-05-01, 2023-02-32 null.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  pyarrow==25.0.1 numpy==2.4.6
venv/bin/python - <<'PYTHON'
import io
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv

FORMAT = "%Y-%m-%d"
texts = ["2023-02-30", "2023-04-31", "2023-02-32"]
parsed = pc.strptime(pa.array(texts), format=FORMAT, unit="s", error_is_null=True).to_pylist()
options = csv.ConvertOptions(timestamp_parsers=[FORMAT], column_types={"day": pa.timestamp("s")})
read = csv.read_csv(io.BytesIO(b"day\n2023-02-30\n"), convert_options=options)["day"][0].as_py()
plain = csv.read_csv(io.BytesIO(b"day\n2023-02-30\n"))["day"].type
print("strptime:", dict(zip(texts, map(str, parsed))))
print("CSV with a format:", read, "and without:", plain)
assert parsed == [datetime(2023, 3, 2), datetime(2023, 5, 1), None], "strptime changed"
assert read == datetime(2023, 3, 2) and plain == pa.string(), "the CSV reader changed"
PYTHON
