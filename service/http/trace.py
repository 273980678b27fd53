"""Traces: what is known of one request beside its answer, for headers, figures and logs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from contextvars import ContextVar
from random import Random

import msgspec

from service.predictions.log import Answered

Headers = Iterable[tuple[bytes, bytes]]

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
# https://www.w3.org/TR/trace-context: of version 00 there is no more, of later ones a part that nobody knows yet
_PARENT = re.compile(rb"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(-.*)?")

_random = Random()
os.register_at_fork(after_in_child=_random.seed)
random_bits = _random.getrandbits  # other ones in each process, whoever seeds Python's generator


class Trace(msgspec.Struct):
    """The id of a request, that of the trace it belongs to, if any, its records or rows, and why it was refused.

    `answered` are predictions, which are logged once the request is answered with them.
    """

    request_id: bytes
    trace_id: bytes = b""
    parent: bytes = b""
    records: int = 0
    refusal: str = ""
    answered: list[Answered] = []

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return the headers by which the answer names its request."""
        if not self.parent:
            return [(b"x-request-id", self.request_id)]
        return [(b"x-request-id", self.request_id), (b"traceparent", self.parent)]


_current: ContextVar[Trace] = ContextVar("current")


def begin(headers: Headers) -> Trace:
    """Return the trace of a request, which `current` returns to later code.

    Ids that the caller sends are kept where they are sound: `x-request-id`, and `traceparent`, of which the answer has
    another span of the same trace.
    """
    request_id, parents = b"", list[bytes]()
    for name, value in headers:
        if name == b"x-request-id":
            request_id = value
        elif name == b"traceparent":
            parents.append(value)
    if not request_id or not _REQUEST_ID.fullmatch(request_id):
        request_id = b"%032x" % random_bits(128)
    trace = Trace(request_id)
    if len(parents) == 1:
        _join(trace, parents[0])
    _current.set(trace)
    return trace


def current() -> Trace:
    """Return the trace of the request that is answered; outside of one, a trace of its own."""
    return _current.get(None) or Trace(b"")


def _join(trace: Trace, parent: bytes) -> None:
    """Make a request part of the trace of its caller, where that is a sound one."""
    matched = _PARENT.fullmatch(parent)
    if matched is None:
        return
    version, trace.trace_id, flags, more = matched.groups()
    if version == b"00" and more:
        trace.trace_id = b""
        return
    sampled = int(flags, 16) & 1
    trace.parent = b"00-%s-%016x-%02x" % (trace.trace_id, random_bits(64) or 1, sampled)
