"""The ids of a request: its own, and that of the trace which it belongs to."""

from __future__ import annotations

import re
from typing import Any

import pytest
from starlette.testclient import TestClient

from service.http.trace import begin, current

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize("sent", ["abc", "5f0c-7.x_9", "a" * 128, "/a=b+c@d:e"])
def test_a_sound_request_id_comes_back(client: TestClient, record: dict[str, Any], sent: str) -> None:
    assert client.post("/predict", json=record, headers={"x-request-id": sent}).headers["x-request-id"] == sent


@pytest.mark.parametrize("sent", [None, "", "a" * 129, "a b", "<script>", "a\tb", 'a"b', "é".encode("latin-1")])
def test_without_one_or_with_one_that_is_not_sound_the_request_gets_one(client: TestClient, sent: Any) -> None:
    headers = {} if sent is None else {"x-request-id": sent}

    ids = [client.get("/nowhere", headers=headers).headers["x-request-id"] for _ in range(2)]

    assert ids[0] != ids[1]
    assert all(re.fullmatch("[0-9a-f]{32}", made) for made in ids)


@pytest.mark.parametrize("flags", ["00", "01", "03"])
def test_the_answer_is_another_span_of_the_same_trace(client: TestClient, flags: str) -> None:
    response = client.get("/healthz", headers={"traceparent": f"00-{TRACE}-{SPAN}-{flags}"})

    version, trace, span, sampled = response.headers["traceparent"].split("-")
    assert (version, trace) == ("00", TRACE)
    assert re.fullmatch("(?!0{16})[0-9a-f]{16}", span)
    assert span != SPAN
    assert sampled == f"0{int(flags) & 1}"


def test_a_later_version_may_say_more(client: TestClient) -> None:
    response = client.get("/healthz", headers={"traceparent": f"cc-{TRACE}-{SPAN}-01-what-the-future-brings"})

    assert response.headers["traceparent"].startswith(f"00-{TRACE}-")


@pytest.mark.parametrize(
    "sent",
    [
        "",
        "nonsense",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-1",
        f" 00-{TRACE}-{SPAN}-01x",
    ],
)
def test_what_is_no_trace_is_ignored(client: TestClient, sent: str) -> None:
    response = client.get("/healthz", headers={"traceparent": sent})

    assert response.status_code == 200
    assert "traceparent" not in response.headers


def test_of_two_parents_neither_counts() -> None:
    parent = f"00-{TRACE}-{SPAN}-01".encode()

    assert begin([(b"traceparent", parent)]).trace_id == TRACE.encode()
    assert begin([(b"traceparent", parent), (b"traceparent", parent)]).trace_id == b""


def test_the_trace_of_a_request_is_found_by_what_it_calls() -> None:
    trace = begin([(b"x-request-id", b"r1")])

    assert current() is trace
