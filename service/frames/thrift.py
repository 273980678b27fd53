"""Thrift: structs in its compact protocol, as Parquet's footer and pages have them, as dictionaries by field number.

https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from __future__ import annotations

from typing import Any

TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = range(1, 13)
DEEPEST = 16

Fields = dict[int, Any]


def read_struct(content: memoryview, place: int, depth: int = 0) -> tuple[Fields, int]:
    """Return the fields of a struct by their numbers, and where it ends; raises IndexError where it is none."""
    if depth > DEEPEST:
        raise IndexError
    fields, number = Fields(), 0
    while head := content[place]:
        place += 1
        kind, delta = head & 15, head >> 4
        if delta:
            number += delta
        else:
            number, place = _integer(content, place)
        if kind in (TRUE, FALSE):
            fields[number] = kind == TRUE
        else:
            fields[number], place = _value(content, place, kind, depth)
    return fields, place + 1


def _value(content: memoryview, place: int, kind: int, depth: int) -> tuple[Any, int]:
    if kind in (I16, I32, I64):
        return _integer(content, place)
    if kind == STRUCT:
        return read_struct(content, place, depth + 1)
    if kind in (LIST, SET):
        return _list(content, place, depth)
    if kind == BINARY:
        length, place = _varint(content, place)
        return bytes(content[place : place + length]), place + length
    if kind in (TRUE, FALSE, BYTE):
        return content[place], place + 1
    if kind == DOUBLE:
        return None, place + 8
    raise IndexError  # a map: Parquet has none


def _list(content: memoryview, place: int, depth: int) -> tuple[list[Any], int]:
    head = content[place]
    place += 1
    kind, count = head & 15, head >> 4
    if count == 15:
        count, place = _varint(content, place)
    values = []
    for _ in range(count):
        value, place = _value(content, place, kind, depth + 1)
        values.append(value)
    return values, place


def _integer(content: memoryview, place: int) -> tuple[int, int]:
    value, place = _varint(content, place)
    return value >> 1 ^ -(value & 1), place


def _varint(content: memoryview, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = content[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
    raise IndexError
