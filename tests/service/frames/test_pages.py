from __future__ import annotations

import io
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from service.frames.pages import Chunk, read_footer, read_pages


def written(table: pa.Table, **options: Any) -> memoryview:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return memoryview(sink.getvalue())


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("compression", ["none", "snappy", "zstd"])
def test_pages_declare_what_pyarrow_says_of_their_column(version: Any, compression: Any) -> None:
    table = pa.table({"a": np.arange(5_000) % 50, "b": [f"text {number}" for number in range(5_000)]})
    body = written(
        table, row_group_size=2_000, data_page_version=version, compression=compression, data_page_size=5_000
    )
    metadata = pq.read_metadata(pa.BufferReader(body))

    footer = read_footer(body)

    assert footer.rows == [2_000, 2_000, 1_000]
    assert [chunk.path for chunk in footer.chunks] == [("a",), ("b",)] * 3
    for number, chunk in enumerate(footer.chunks):
        about = metadata.row_group(number // 2).column(number % 2)
        pages = list(read_pages(body, chunk))
        assert chunk.length == about.total_compressed_size
        # which counts the headers of the pages, too
        assert (
            0.9 * about.total_uncompressed_size < sum(page.unpacked for page in pages) < about.total_uncompressed_size
        )


def test_what_is_cut_short_is_an_error() -> None:
    body = written(pa.table({"a": np.arange(100)}))

    for end in range(len(body)):
        with pytest.raises(ValueError, match=r"PAR1|footer"):
            read_footer(body[:end])
    for chunk in (Chunk(("a",), len(body) - 3, 3), Chunk(("a",), 0, 50)):
        with pytest.raises(ValueError, match=r"a page of the column 'a' cannot be read|less than nothing"):
            list(read_pages(body, chunk))
