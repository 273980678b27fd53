"""Messages: the sizes that an Arrow stream declares, read before anything of it is unpacked.

A message says in a flatbuffer how many rows it has and where its buffers lie; one that is packed begins with the
number of bytes that it becomes (https://arrow.apache.org/docs/format/Columnar.html#serialization-and-interprocess-communication-ipc).
"""

from __future__ import annotations

import struct
from typing import Any

HEADER_TYPE, HEADER = 1, 2  # the fields of a Message
LENGTH, BUFFERS, COMPRESSION = 0, 2, 3  # of a RecordBatch
DATA = 1  # of a DictionaryBatch, a RecordBatch
DICTIONARY_BATCH, RECORD_BATCH = 2, 3  # the types of headers that hold buffers
NOT_PACKED = -1


def declared(message: Any) -> tuple[int, int]:
    """Return the rows of a message of pyarrow's, none of a dictionary, and the bytes that its buffers take unpacked.

    Raises ValueError where it says what cannot be.
    """
    content, body = memoryview(message.metadata), memoryview(message.body or b"")
    try:
        return _declared(content, body)
    except struct.error:
        raise ValueError("a message of the stream is cut short") from None


def _declared(content: memoryview, body: memoryview) -> tuple[int, int]:
    root = _offset(content, 0)
    place = _field(content, root, HEADER_TYPE)
    kind = content[place] if place else 0
    if kind not in (DICTIONARY_BATCH, RECORD_BATCH):
        return 0, 0
    batch = _table(content, root, HEADER)
    if kind == DICTIONARY_BATCH:
        batch = _table(content, batch, DATA)
    (rows,) = _read("<q", content, length) if (length := _field(content, batch, LENGTH)) else (0,)
    sizes = _sizes(content, body, batch)
    if rows < 0 or any(size < 0 for size in sizes):
        raise ValueError("a message of the stream declares less than nothing")
    return rows if kind == RECORD_BATCH else 0, sum(sizes)


def _sizes(content: memoryview, body: memoryview, batch: int) -> list[int]:
    """Return the bytes of each buffer, unpacked."""
    place = _field(content, batch, BUFFERS)
    if not place:
        return []
    vector = _offset(content, place)
    (count,) = _read("<I", content, vector)
    packed = bool(_field(content, batch, COMPRESSION))
    sizes = []
    for number in range(count):
        start, length = _read("<qq", content, vector + 4 + 16 * number)
        if start < 0 or length < 0 or start + length > len(body):
            raise ValueError("a buffer of the stream lies outside of its message")
        if packed and length >= 8:
            (size,) = _read("<q", body, start)
            length = length - 8 if size == NOT_PACKED else size
        sizes.append(length)
    return sizes


def _read(form: str, content: memoryview, place: int) -> tuple[int, ...]:
    if place < 0:
        raise struct.error
    return struct.unpack_from(form, content, place)


def _offset(content: memoryview, place: int) -> int:
    return place + _read("<I", content, place)[0]


def _field(content: memoryview, table: int, number: int) -> int:
    """Return the place of a table's field; 0: it has none."""
    fields = table - _read("<i", content, table)[0]
    (size,) = _read("<H", content, fields)
    if 4 + 2 * number >= size:
        return 0
    (offset,) = _read("<H", content, fields + 4 + 2 * number)
    return table + offset if offset else 0


def _table(content: memoryview, table: int, number: int) -> int:
    """Return the place of the table that a field holds."""
    place = _field(content, table, number)
    if not place:
        raise ValueError("a message of the stream has no content")
    return _offset(content, place)
