"""Explaining on request: the parameter that asks for it, and its limit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from service.http.bodies import BodyError
from service.records.reader import excerpt

MOST_RECORDS = 100  # that one request may have explained: each costs as much as thousands of answers
EXPLAIN = {
    "description": "whether the answer tells what each feature adds to it, of at most 100 records at a time",
    "schema": {"type": "boolean", "default": False},
}
_FLAGS = {"true": True, "false": False}


def is_to_explain(parameters: Mapping[str, str]) -> bool:
    """Return whether a request asks for explanations; raises BodyError for a value that is no answer to that."""
    given = parameters.get("explain", "false")
    if given not in _FLAGS:
        raise BodyError(422, f"explain is {excerpt(given)!r}; give true or false, or leave it out")
    return _FLAGS[given]


def require_few(records: Sequence[Any]) -> None:
    """Raise BodyError for more records than are explained at a time."""
    if len(records) > MOST_RECORDS:
        raise BodyError(413, f"{len(records)} records were given; have at most {MOST_RECORDS} explained at a time")
