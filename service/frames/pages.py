"""Pages: the sizes that the pages of a Parquet file declare, read before anything of them is unpacked.

The footer's sums of them may not be true. It is read here, too: pyarrow ends the process where its reader of what a
footer says of a column fails. https://github.com/apache/parquet-format has the numbers of the fields.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from service.frames.thrift import Fields, read_struct

MAGIC = b"PAR1"
LONGEST_FOOTER = 4_000_000  # of a thousand columns in some dozens of groups; to read more would take seconds
ROW_GROUPS, COLUMNS, ROWS, ABOUT = 4, 1, 3, 3  # of FileMetaData, RowGroup, RowGroup, ColumnChunk
PATH, PACKED_ALL, FIRST_PAGE, DICTIONARY_PAGE = 3, 7, 9, 11  # of ColumnMetaData
UNPACKED, PACKED, DATA_PAGE, DATA_PAGE_V2 = 2, 3, 5, 8  # of PageHeader
ENCODING, ENCODING_V2 = 2, 4  # of DataPageHeader and DataPageHeaderV2
DICTIONARIES = (2, 8)  # PLAIN_DICTIONARY and RLE_DICTIONARY
PREFIXED = 7  # DELTA_BYTE_ARRAY: texts of which each repeats the begin of the one before


@dataclass(frozen=True)
class Chunk:
    """The pages of a column in a group of rows: its path, and where they lie."""

    path: tuple[str, ...]
    start: int
    length: int


@dataclass(frozen=True)
class Footer:
    """The content of a footer: the rows of each group, and where their columns lie."""

    rows: list[int]
    chunks: list[Chunk]


def read_footer(body: memoryview) -> Footer:
    """Return what the footer of a Parquet file says; raises ValueError where it is none."""
    if len(body) < 12 or bytes(body[-4:]) != MAGIC or bytes(body[:4]) != MAGIC:
        raise ValueError(f"it does not begin and end with {MAGIC.decode()}")
    (length,) = struct.unpack("<I", body[-8:-4])
    if not 0 < length <= min(len(body) - 12, LONGEST_FOOTER):
        raise ValueError(f"its footer has {length} bytes; up to {min(len(body) - 12, LONGEST_FOOTER)} can be read")
    rows, chunks = list[int](), list[Chunk]()
    try:
        fields, _ = read_struct(body[-8 - length : -8], 0)
        for group in fields.get(ROW_GROUPS, []):
            rows.append(_size(group.get(ROWS)))
            chunks += [_chunk(column[ABOUT], len(body)) for column in group.get(COLUMNS, [])]
    except (IndexError, KeyError, AttributeError, TypeError):
        raise ValueError("its footer cannot be read") from None
    return Footer(rows, chunks)


def _chunk(about: Fields, end: int) -> Chunk:
    path = tuple(part.decode() for part in about[PATH])
    # without rows the first page of data has no place
    start = min(filter(None, (_size(about.get(page, 0)) for page in (FIRST_PAGE, DICTIONARY_PAGE))), default=0)
    length = _size(about[PACKED_ALL])
    if start + length > end:
        raise ValueError(f"the pages of the column {'.'.join(path)!r} lie outside of the file")
    return Chunk(path, start, length)


@dataclass(frozen=True)
class Page:
    """The bytes of a page, once it is unpacked, and the number of its encoding; None: it holds a dictionary."""

    unpacked: int
    encoding: int | None


def read_pages(body: memoryview, chunk: Chunk) -> Iterator[Page]:
    """Yield what the headers of pages say; raises ValueError for a page that cannot be bounded."""
    place, end, name = chunk.start, chunk.start + chunk.length, ".".join(chunk.path)
    while place < end:
        try:
            header, place = read_struct(body, place)
            unpacked, packed = _size(header[UNPACKED]), _size(header[PACKED])
            encoding = _encoding(header, DATA_PAGE, ENCODING) or _encoding(header, DATA_PAGE_V2, ENCODING_V2)
        except (IndexError, KeyError, TypeError):
            raise ValueError(f"a page of the column {name!r} cannot be read") from None
        if encoding == PREFIXED:
            raise ValueError(
                f"the column {name!r} is encoded as DELTA_BYTE_ARRAY, in which few bytes may stand for many; write it "
                "with another encoding"
            )
        yield Page(unpacked, encoding)
        place += packed


def _encoding(header: Fields, page: int, number: int) -> int | None:
    return _size(header[page][number]) if page in header else None


def _size(value: Any) -> int:
    if type(value) is not int:
        raise TypeError
    if value < 0:
        raise ValueError("it declares less than nothing")
    return value
