"""Media types: of a body, and of the answer that its sender accepts."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request

from service.http.bodies import BodyError, is_json
from service.records.reader import excerpt

JSON = "application/json"


def content_type(request: Request) -> str:
    """Return the media type of a request's body, in lower case, without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def accepted(request: Request, offered: Sequence[str]) -> str:
    """Return which of some media types, those first that answer best, a request accepts most; raises BodyError, 406.

    All are accepted by a request that says nothing.
    """
    header = request.headers.get("accept", "")
    wanted = [_range(part) for part in header.split(",")[:100] if part.strip()]
    if not wanted:
        return offered[0]
    best, chosen = 0.0, ""
    for kind in offered:
        if (quality := _quality(kind, wanted)) > best:
            best, chosen = quality, kind
    if not chosen:
        raise BodyError(406, f"accept is {excerpt(header)!r}, and the answer may be {', '.join(offered)}")
    return chosen


def _quality(kind: str, wanted: Sequence[tuple[str, float]]) -> float:
    """Return how much a media type is wanted: by its own name, else by its family's, else by all."""
    for name in (kind, f"{kind.partition('/')[0]}/*", "*/*"):
        qualities = [quality for pattern, quality in wanted if pattern == name or (name == JSON and is_json(pattern))]
        if qualities:
            return max(qualities)
    return 0.0


def _range(part: str) -> tuple[str, float]:
    pattern, *parameters = (piece.strip().lower() for piece in part.split(";"))
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return pattern, float(parameter[2:])
            except ValueError:
                return pattern, 0.0
    return pattern, 1.0
