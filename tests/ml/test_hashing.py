"""The content hash depends on values alone."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from ml.hashing import hash_table

ROWS = st.lists(
    st.tuples(st.none() | st.integers(-(2**40), 2**40), st.none() | st.floats(), st.none() | st.text()), max_size=20
)


def make(rows: list[tuple]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    return pa.table(
        {
            "a": pa.array(columns[0], pa.int64()),
            "b": pa.array(columns[1], pa.float64()),
            "c": pa.array(columns[2], pa.string()),
        }
    )


@given(ROWS, st.integers(0, 20))
def test_order_of_columns_chunks_and_encoding_do_not_matter(rows: list[tuple], cut: int) -> None:
    table = make(rows)

    chunked = pa.concat_tables([table.slice(0, cut), table.slice(cut)]).select(["c", "a", "b"])
    encoded = chunked.set_column(0, "c", chunked["c"].cast(pa.large_string()).dictionary_encode())

    assert hash_table(encoded) == hash_table(table)


@given(ROWS.filter(bool), st.data())
def test_any_changed_value_changes_the_hash(rows: list[tuple], data: st.DataObject) -> None:
    row = data.draw(st.integers(0, len(rows) - 1))
    changed = list(rows)
    changed[row] = ((rows[row][0] or 0) + 1, *rows[row][1:])

    assert hash_table(make(changed)) != hash_table(make(rows))


def test_null_is_not_zero_and_text_does_not_flow_into_its_neighbour() -> None:
    assert hash_table(make([(None, 0.0, "")])) != hash_table(make([(0, 0.0, "")]))
    assert hash_table(make([(1, 1.0, "ab"), (1, 1.0, "c")])) != hash_table(make([(1, 1.0, "a"), (1, 1.0, "bc")]))
