#!/usr/bin/env bash
# `pa.table` of a Polars frame has a text type that pyarrow itself cannot group, sort, join or compare.
#
# Versions: polars 2.1.0, pyarrow 25.0.1, Python 3.11.
# Expected: `pa.table(frame)` and `frame.to_arrow()` give tables that can do the same.
# Behaviour: the first goes through Arrow's C interface and has `string_view` columns, the second has `large_string`. The
# schema is accepted, Parquet is written, and an error comes where the column is first used as a key.
# Seen: string_view: "Keys of type string_view" for a group, "Sorting not supported" for a sort; large_string: both work.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  polars==2.1.0 pyarrow==25.0.1
venv/bin/python - <<'PYTHON'
import polars as pl
import pyarrow as pa

frame = pl.DataFrame({"key": ["a", "b", "a"], "value": [1, 2, 3]})


def attempts(table):
    def tried(work):
        try:
            return work().num_rows
        except (pa.ArrowNotImplementedError, pa.ArrowTypeError, pa.ArrowInvalid) as error:
            return str(error)

    group = tried(lambda: table.group_by("key").aggregate([("value", "sum")]))
    sort = tried(lambda: table.sort_by("key"))
    join = tried(lambda: table.join(table, "key", right_suffix=".2"))
    print(f"{table.schema.field('key').type}: group {group!r}, sort {sort!r}, join {join!r}")
    return table.schema.field("key").type, [isinstance(result, int) for result in (group, sort, join)]


assert attempts(pa.table(frame)) == (pa.string_view(), [False] * 3), "pa.table changed"
assert attempts(frame.to_arrow()) == (pa.large_string(), [True] * 3), "to_arrow changed"
PYTHON
