"""The content hash depends on values alone."""

import io
from datetime import datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.base.hashing import hash_table


def whole_seconds(time: datetime) -> datetime:
    return time.replace(microsecond=0)


COLUMNS = {
    "a": (pa.int64(), st.integers(-(2**40), 2**40)),
    "b": (pa.float64(), st.floats()),
    "c": (pa.string(), st.text()),
    "d": (pa.bool_(), st.booleans()),
    "e": (pa.timestamp("s"), st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1)).map(whole_seconds)),
    "f": (pa.date32(), st.dates()),
    "g": (pa.float32(), st.floats(width=32)),
}
ROWS = st.lists(st.tuples(*(st.none() | values for _, values in COLUMNS.values())), max_size=20)


def make(rows: list[tuple]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [()] * len(COLUMNS)
    return pa.table(
        {name: pa.array(values, kind) for (name, (kind, _)), values in zip(COLUMNS.items(), columns, strict=True)}
    )


@given(ROWS, st.integers(0, 20), st.permutations(list(COLUMNS)), st.sampled_from(["ms", "us", "ns"]))
def test_order_of_columns_chunks_and_encoding_do_not_matter(
    rows: list[tuple], cut: int, order: list[str], unit: str
) -> None:
    table = make(rows)

    encoded = pa.concat_tables([table.slice(0, cut), table.slice(cut)])
    encoded = encoded.set_column(2, "c", encoded["c"].cast(pa.large_string()).dictionary_encode())
    encoded = encoded.set_column(4, "e", encoded["e"].cast(pa.timestamp(unit))).select(order)
    file = io.BytesIO()
    pq.write_table(table, file, row_group_size=3, compression="gzip", use_dictionary=False)

    assert hash_table(encoded) == hash_table(table)
    assert hash_table(pq.read_table(file)) == hash_table(table)
    assert hash_table(pa.concat_tables([table.slice(0, 0), table, table]).slice(len(rows), len(rows))) == hash_table(
        table
    )


@given(ROWS.filter(bool), st.data())
def test_any_changed_value_changes_the_hash(rows: list[tuple], data: st.DataObject) -> None:
    row, column = data.draw(st.integers(0, len(rows) - 1)), data.draw(st.integers(0, len(COLUMNS) - 1))
    old, new = rows[row][column], data.draw(st.none() | list(COLUMNS.values())[column][1])
    changed = list(rows)
    changed[row] = tuple(new if place == column else value for place, value in enumerate(rows[row]))

    same = old == new or (old != old and new != new)  # two NaN are one value

    assert (hash_table(make(changed)) == hash_table(make(rows))) == same


def test_times_that_nanoseconds_cannot_hold() -> None:
    late = pa.array([datetime(9999, 12, 31)], pa.timestamp("ms"))

    assert hash_table(pa.table({"t": late})) == hash_table(pa.table({"t": late.cast(pa.timestamp("us"))}))


def test_an_unknown_type_is_named() -> None:
    with pytest.raises(TypeError, match=r"list<item: int64>.*allowed: text, numbers"):
        hash_table(pa.table({"a": [[1, 2]]}))


def test_null_is_not_zero_and_text_does_not_flow_into_its_neighbour() -> None:
    def one(*values: object) -> str:
        return hash_table(pa.table({"x": list(values)}))

    assert len({one(None, 1), one(0, 1)}) == 2
    assert len({one("ab", "c"), one("a", "bc"), one(None, "abc"), one("", "abc")}) == 4
    assert len({one(None, 1.0), one(float("nan"), 1.0), one(0.0, 1.0)}) == 3
    assert one(-0.0, float("nan")) == one(0.0, -float("nan"))
