"""Bodies of requests: read within limits, and the records or rows that their JSON holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.requests import ClientDisconnect, Request

from service.records.reader import InvalidRecords, Problem, excerpt

MAX_BODY_BYTES = 8_000_000
MAX_RECORDS = 10_000
INTEGER_DIGITS = 300  # beyond, no float64 holds the integer


class BodyError(ValueError):
    """A body that cannot be read as records at all; `status` is the HTTP status that says so."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Batch:
    """The records of a request, and whether the caller sent one record or a list."""

    records: list[Any]
    single: bool


async def read_json(request: Request) -> Any:
    """Return the JSON value of a request's body; raises BodyError if it is no JSON, or too long."""
    about = dict(request.scope["headers"])  # of a header that comes twice, the last
    _check_content_type(about.get(b"content-type", b""))
    return decode(await _body(request, about.get(b"content-length", b"")))


def to_batch(body: Any, columns: Mapping[str, Any]) -> Batch:
    """Return one record, or the list under `records`; a list is no column's value, so the two cannot be confused."""
    if not isinstance(body, dict):
        raise BodyError(422, 'the body must be one record, as an object, or {"records": [...]}')
    if "records" not in body or ("records" in columns and not isinstance(body["records"], list)):
        return Batch([body], single=True)
    return Batch(_list_under("records", body, []), single=False)


def to_rows(body: Any) -> tuple[Any, list[Any]]:
    """Return the table that the rows of an event request belong to, and the rows."""
    if not isinstance(body, dict) or "table" not in body:
        raise BodyError(422, 'the body must be an object, {"table": ..., "rows": [...]}')
    return body["table"], _list_under("rows", body, ["table"])


def _list_under(name: str, body: dict[str, Any], beside: list[str]) -> list[Any]:
    """Return the list of `body` called `name`, of 1 to MAX_RECORDS; only the keys `beside` may stand beside it."""
    entries = body.get(name)
    if others := sorted(body.keys() - {name, *beside}):
        problem = Problem(f"unknown keys beside {name}", 0, None, [excerpt(o) for o in others], [*beside, name])
        raise InvalidRecords([problem])
    if not isinstance(entries, list) or not entries:
        raise InvalidRecords([Problem(f"not a list of {name}", 0, name, excerpt(entries), "an array of 1 or more")])
    if len(entries) > MAX_RECORDS:
        raise BodyError(413, f"{len(entries)} {name} were given; send at most {MAX_RECORDS} at a time")
    return entries


def decode(body: bytes | bytearray) -> Any:
    """Decode the JSON of `body`; numbers that no float holds stay, as NaN or infinite, to be named with their field."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        return _with_odd_numbers(body, str(error))


def _with_odd_numbers(body: bytes | bytearray, error: str) -> Any:
    odd: list[str] = []

    def number(literal: str) -> float:
        value = float(literal)
        if value - value != 0.0:  # NaN or infinite
            odd.append(literal)
        return value

    def integer(literal: str) -> int | float:
        return int(literal) if len(literal) <= INTEGER_DIGITS else number(literal)

    try:
        value = json.loads(body, parse_float=number, parse_int=integer, parse_constant=number)
    except (ValueError, RecursionError):
        value = None
    if not odd or value is None:
        raise BodyError(400, f"the body is not JSON: {error}") from None
    return value


def _check_content_type(header: bytes) -> None:
    if header == b"application/json":
        return
    text = header.decode("latin-1")
    kind, _, subtype = text.partition(";")[0].strip().lower().partition("/")
    if kind != "application" or (subtype != "json" and not subtype.endswith("+json")):
        raise BodyError(415, f"the content type is {excerpt(text)!r}; send application/json")


async def _body(request: Request, length: bytes) -> bytes | bytearray:
    """Read the whole body; refuse it by its announced length, or else as soon as it has grown too long."""
    if length.isdigit() and int(length[:20]) > MAX_BODY_BYTES:
        raise _too_long()
    body = bytearray()
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            raise _too_long()
        if not message.get("more_body", False):
            return body


def _too_long() -> BodyError:
    return BodyError(413, f"the body is longer than {MAX_BODY_BYTES} bytes; send fewer records at a time")
