"""Bodies of requests: read within limits, and the records or rows that their JSON holds."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from anyio import to_thread
from starlette.requests import ClientDisconnect, Request

from service.http.limits import Limits
from service.http.patience import Patience
from service.records.reader import InvalidRecords, Problem, excerpt

INLINE_BYTES = 200_000  # to decode more would hold up other requests for more than about a millisecond
INTEGER_DIGITS = 300  # beyond, no float64 holds the integer


class BodyError(ValueError):
    """A body that cannot be read as records at all; `status` is the HTTP status that says so."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Batch(msgspec.Struct, frozen=True):
    """The records of a request, and whether the caller sent one record or a list."""

    records: list[Any]
    single: bool


async def read_json(request: Request, limits: Limits, patience: Patience) -> Any:
    """Return the JSON value of a request's body; raises BodyError if it is no JSON, too long, or too slow to come."""
    about = dict(request.scope["headers"])  # of a header that comes twice, the last
    _check_content(about.get(b"content-type", b""))
    body = await read_body(request, limits, patience, limits.body_bytes)
    return decode(body) if len(body) <= INLINE_BYTES else await to_thread.run_sync(decode, body)


async def read_body(request: Request, limits: Limits, patience: Patience, most: int) -> bytearray:
    """Return a request's body; raises BodyError if it is packed, longer than `most` bytes, or too slow to come."""
    about = dict(request.scope["headers"])
    encoding = about.get(b"content-encoding", b"identity")
    if encoding.lower() not in (b"identity", b""):
        raise BodyError(415, f"the content encoding is {excerpt(encoding.decode('latin-1'))!r}; send the body as it is")
    try:
        return await patience.wait(_body(request, about.get(b"content-length", b""), most), limits.seconds)
    except TimeoutError:
        raise BodyError(408, f"the body did not come within {limits.seconds:g} s") from None


def to_batch(body: Any, columns: Mapping[str, Any], most: int) -> Batch:
    """Return one record, or the list under `records`; a list is no column's value, so the two cannot be confused."""
    if not isinstance(body, dict):
        raise BodyError(422, 'the body must be one record, as an object, or {"records": [...]}')
    if "records" not in body or ("records" in columns and not isinstance(body["records"], list)):
        return Batch([body], single=True)
    return Batch(_list_under("records", body, [], most), single=False)


def to_rows(body: Any, most: int) -> tuple[Any, list[Any]]:
    """Return the table that the rows of an event request belong to, and the rows."""
    if not isinstance(body, dict) or "table" not in body:
        raise BodyError(422, 'the body must be an object, {"table": ..., "rows": [...]}')
    return body["table"], _list_under("rows", body, ["table"], most)


def _list_under(name: str, body: dict[str, Any], beside: list[str], most: int) -> list[Any]:
    """Return the list of `body` called `name`, of 1 to `most`; only the keys `beside` may stand beside it."""
    entries = body.get(name)
    if others := sorted(body.keys() - {name, *beside}):
        problem = Problem(f"unknown keys beside {name}", 0, None, [excerpt(o) for o in others], [*beside, name])
        raise InvalidRecords([problem])
    if not isinstance(entries, list) or not entries:
        raise InvalidRecords([Problem(f"not a list of {name}", 0, name, excerpt(entries), "an array of 1 or more")])
    if len(entries) > most:
        raise BodyError(413, f"{len(entries)} {name} were given; send at most {most} at a time")
    return entries


def decode(body: bytes | bytearray) -> Any:
    """Decode the JSON of `body`; raises BodyError, which names what is not, such as a key that is there twice.

    Numbers that no float holds stay, as NaN or infinite, to be named with their field.
    """
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return _decode_odd(body)
    if isinstance(value, dict) and (colons := body.count(b":")) != len(value) and _may_repeat(body, value, colons):
        return _decode_odd(body)
    return value


def _may_repeat(body: bytes | bytearray, value: dict[str, Any], colons: int) -> bool:
    """Return whether a key may be twice in an object: msgspec keeps the last one, and the colon of another is left."""
    entries, texts = list[Any](), 0
    for entry in value.values():
        if type(entry) is str:
            texts += entry.count(":")
        elif type(entry) is list:
            entries += [listed for listed in entry if type(listed) is dict]
    if texts and not entries and colons == len(value) + texts:
        return b"\\u003" in body  # where a colon may be spelled so
    if colons == len(value) + sum(map(len, entries)):
        return False  # one for each key: no text has any
    return colons != _colons(value) or b"\\u003" in body


def _colons(value: Any) -> int:
    """Count the colons of a value's JSON: one for each key, and those in its texts."""
    if isinstance(value, dict):
        return len(value) + sum(_colons(entry) for entry in value.values() if isinstance(entry, str | list | dict))
    return value.count(":") if isinstance(value, str) else sum(map(_colons, value)) if isinstance(value, list) else 0


def _decode_odd(body: bytes | bytearray) -> Any:
    """Decode again, slowly, to find what is odd: bytes that are not UTF-8, repeated keys, numbers beyond a float."""
    try:
        text = body.decode("utf-8", "surrogateescape")
        value = json.loads(text, parse_int=_integer, parse_constant=float, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        if isinstance(error, BodyError):
            raise
        raise BodyError(400, f"the body is not JSON: {error}") from None
    for place, literal in _texts("$", value):
        if not _is_unicode(literal):
            raise BodyError(400, f"the body is not UTF-8 at {_printable(place)}: {excerpt(literal)!r}")
    return value


def _integer(literal: str) -> int | float:
    return int(literal) if len(literal) <= INTEGER_DIGITS else float(literal)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        ((key, times),) = Counter(name for name, _ in pairs).most_common(1)
        raise BodyError(400, f"the key {excerpt(key)!r} is {times} times in one object; give it once")
    return value


def _texts(place: str, value: Any) -> Iterator[tuple[str, str]]:
    """Yield the texts in a value, keys too, each with its place as JSON path has it."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield from _texts(f"{place}[{index}]", entry)
    elif isinstance(value, dict):
        for key, entry in value.items():
            yield f"a key of {place}", key
            yield from _texts(f"{place}.{key}", entry)


def _is_unicode(text: str) -> bool:
    return text.encode("utf-8", "replace") == text.encode("utf-8", "surrogatepass")


def _printable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _check_content(kind: bytes) -> None:
    if kind == b"application/json":
        return
    text = kind.decode("latin-1")
    if not is_json(text.partition(";")[0].strip().lower()):
        raise BodyError(415, f"the content type is {excerpt(text)!r}; send application/json")


def is_json(kind: str) -> bool:
    """Return whether a media type, in lower case and without parameters, is one of JSON."""
    media, _, subtype = kind.partition("/")
    return media == "application" and (subtype == "json" or subtype.endswith("+json"))


async def _body(request: Request, length: bytes, most: int) -> bytearray:
    """Read the whole body; refuse it by its announced length, or else as soon as it has grown too long."""
    if length.isdigit() and int(length[:20]) > most:
        raise _too_long(most)
    body = bytearray()
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        if len(body) > most:
            raise _too_long(most)
        if not message.get("more_body", False):
            return body


def _too_long(most: int) -> BodyError:
    return BodyError(413, f"the body is longer than {most} bytes; send fewer records at a time")
