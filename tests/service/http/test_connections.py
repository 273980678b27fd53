"""Connections of a real server: uvicorn with the application, over sockets."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import Event, Thread
from typing import Any

import pytest
import uvicorn

from service.http.app import Application
from service.http.connections import Connection, Watch, know_connections
from service.http.limits import Limits
from service.http.served import Served
from service.predict.predictor import Prediction, Predictor

WAIT_S, KEPT_S = 0.3, 2
HEAD = b"POST /predict HTTP/1.1\r\nhost: here\r\ncontent-type: application/json\r\n"


@contextmanager
def listening(served: Served, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, int]]:
    """Serve in a thread of this process, as a worker does in its own."""
    monkeypatch.setattr(uvicorn.config, "HTTP_PROTOCOLS", dict(uvicorn.config.HTTP_PROTOCOLS))
    know_connections()
    application = Application(served)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            Watch().begin(served.limits)
        await application(scope, receive, send)

    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="on", timeout_keep_alive=KEPT_S))
    thread = Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.001)
        yield server.servers[0].sockets[0].getsockname()
    finally:
        server.should_exit = True
        thread.join(30)


def drip(connection: socket.socket, sent: bytes) -> float:
    """Send byte by byte until the server ends the connection; return for how long that went on."""
    begun = time.monotonic()
    connection.settimeout(WAIT_S / 10)
    for byte in sent:
        try:
            connection.sendall(bytes([byte]))
            if connection.recv(1) == b"":
                break
        except TimeoutError:
            pass
        except OSError:
            break
        assert time.monotonic() - begun < 20
    else:
        raise AssertionError("the server heard all of it")
    return time.monotonic() - begun


def kept(address: tuple[str, int], body: bytes) -> socket.socket:
    """Return a connection over which a request was answered."""
    connection = socket.create_connection(address, timeout=30)
    connection.sendall(HEAD + b"content-length: %d\r\n\r\n" % len(body) + body)
    assert connection.recv(65_536).startswith(b"HTTP/1.1 200")
    return connection


@pytest.mark.parametrize("after", ["nothing", "an answer", "an empty line"])
def test_a_client_that_sends_headers_byte_by_byte_is_dropped_and_others_are_answered(
    served: Served, record: dict[str, Any], monkeypatch: pytest.MonkeyPatch, after: str
) -> None:
    served.limits = Limits(seconds=WAIT_S)
    body = json.dumps(record).encode()
    with listening(served, monkeypatch) as address:
        with socket.create_connection(address) if after == "nothing" else kept(address, body) as slow:
            slow.sendall(b"\r\n" if after == "an empty line" else b"")
            seconds = drip(slow, HEAD + b"x-padding: " + b"x" * 10_000)

        assert seconds >= WAIT_S / 2
        kept(address, body).close()


def test_a_client_that_sends_nothing_is_dropped(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    served.limits = Limits(seconds=WAIT_S)
    with (
        listening(served, monkeypatch) as address,
        socket.create_connection(address, timeout=20) as silent,
        suppress(ConnectionResetError),
    ):
        assert silent.recv(1) == b""


def test_a_client_that_does_not_take_its_answer_is_dropped(
    served: Served, record: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    served.limits = Limits(seconds=WAIT_S)
    served.require_predictor().__class__ = Wordy
    body = json.dumps(record).encode()
    with listening(served, monkeypatch) as address, socket.create_connection(address, timeout=30) as deaf:
        deaf.sendall(HEAD + b"content-length: %d\r\n\r\n" % len(body) + body)
        assert Wordy.asked.wait(30)
        until = time.monotonic() + 20
        while Connection.open and time.monotonic() < until:
            time.sleep(0.001)
        assert not Connection.open


class Wordy(Predictor):
    """Answers with more than the buffers between two processes hold."""

    asked = Event()

    def predict(self, records: Sequence[Any], deadline: float | None = None) -> Prediction:
        self.asked.set()
        return Prediction([0.5], [["x" * 50_000_000]])


def test_a_client_that_keeps_its_connection_is_left_to_it(
    served: Served, record: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    served.limits = Limits(seconds=WAIT_S)
    body = json.dumps(record).encode()
    with listening(served, monkeypatch) as address, kept(address, body) as connection:
        connection.settimeout(3 * WAIT_S)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        connection.settimeout(30)
        connection.sendall(HEAD + b"content-length: %d\r\n\r\n" % len(body) + body)
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200")


class Stopping(Predictor):
    """Answers, in the event loop, once it may."""

    may, begun = Event(), Event()

    def predict(self, records: Sequence[Any], deadline: float | None = None) -> Prediction:
        self.begun.set()
        assert self.may.wait(30)
        return super().predict(records, deadline)


def test_of_requests_that_come_at_once_those_beyond_the_bound_are_refused(
    served: Served, record: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    served.limits = Limits(concurrent=10)
    body = json.dumps(record).encode()
    request = HEAD + b"content-length: %d\r\n\r\n" % len(body) + body
    Stopping.may, Stopping.begun = Event(), Event()
    with listening(served, monkeypatch) as address:
        connections = [kept(address, body) for _ in range(60)]
        served.require_predictor().__class__ = Stopping
        with socket.create_connection(address, timeout=30) as first:
            first.sendall(request)
            assert Stopping.begun.wait(30)
            for connection in connections:
                connection.sendall(request)
            Stopping.may.set()
            answers = [connection.recv(65_536) for connection in connections]
            assert first.recv(65_536).startswith(b"HTTP/1.1 200")
        statuses = [answer[9:12] for answer in answers]
        again = [(connection.sendall(request), connection.recv(65_536)[9:12])[1] for connection in connections]
        for connection in connections:
            connection.close()

    assert set(statuses) == {b"200", b"429"}
    assert statuses.count(b"200") in range(9, 21)
    assert all(b"retry-after: 1\r\n" in answer for answer in answers if answer[9:12] == b"429")
    assert set(again) == {b"200"}
    assert Connection.in_work.count == served.work.count == 0


class Peer:
    """A connection as the watch sees it."""

    def __init__(self, waits: bool) -> None:
        self.waits, self.answered, self.dropped = waits, object(), False
        self.transport = self

    def abort(self) -> None:
        self.dropped = True


@pytest.mark.parametrize(
    ("change", "dropped"),
    [
        (lambda peer: None, True),
        (lambda peer: setattr(peer, "answered", object()), False),
        (lambda peer: setattr(peer, "waits", False), False),
    ],
)
def test_who_sends_a_request_between_two_looks_begins_anew(change: Callable[[Peer], None], dropped: bool) -> None:
    watch, peer = Watch(), Peer(waits=True)
    connections: Any = [peer]

    watch.look(connections, 0.0, 10)
    watch.look(connections, 6.0, 10)
    change(peer)
    watch.look(connections, 9.0, 10)
    peer.waits = True
    watch.look(connections, 11.0, 10)

    assert peer.dropped is dropped


def test_a_connection_that_has_ended_is_forgotten(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(served, monkeypatch) as address:
        with socket.create_connection(address, timeout=30) as connection:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n")
            while connection.recv(65_536):
                pass
        while Connection.open:
            time.sleep(0.001)


@pytest.mark.parametrize("most", [100, 1])
def test_a_client_that_sends_no_more_hears_the_answers_to_what_it_has_asked(
    served: Served, record: dict[str, Any], monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr("service.http.scoring.INLINE_RECORDS", most)  # above, a thread answers
    body = json.dumps({"records": [record] * 2}).encode()
    asked = HEAD + b"content-length: %d\r\n\r\n" % len(body) + body
    with listening(served, monkeypatch) as address, socket.create_connection(address, timeout=30) as client:
        client.sendall(asked * 3)
        client.shutdown(socket.SHUT_WR)
        answered = b"".join(iter(lambda: client.recv(65_536), b""))

    assert answered.count(b"HTTP/1.1 200") == 3


def test_a_client_that_sends_no_more_of_its_request_is_let_go(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(served, monkeypatch) as address, socket.create_connection(address, timeout=KEPT_S) as client:
        client.sendall(HEAD + b"content-length: 2\r\n\r\n{")
        client.shutdown(socket.SHUT_WR)

        assert client.recv(65_536) == b""


class Asked(Predictor):
    """Answers with much, so that who does not read soon gets no more; all that were asked wait for the first."""

    def predict(self, records: Sequence[Any], deadline: float | None = None) -> Prediction:
        return Prediction([0.5], [["x" * 1_000_000]])


def test_what_a_client_asks_that_takes_no_answer_is_not_gathered_and_it_is_dropped(
    served: Served, record: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    served.limits = Limits(seconds=1)
    served.require_predictor().__class__ = Asked
    body, most = json.dumps(record).encode(), 0
    asked = (HEAD + b"content-length: %d\r\n\r\n" % len(body) + body) * 5_000
    with listening(served, monkeypatch) as address, socket.create_connection(address, timeout=0.01) as deaf:
        until = time.monotonic() + 20
        with suppress(ConnectionResetError, BrokenPipeError):
            while time.monotonic() < until:
                with suppress(TimeoutError):
                    asked = asked[deaf.send(asked[:100_000]) :]
                most = max([most, *(len(connection.pipeline) for connection in Connection.open)])
        assert not Connection.open

    assert 0 < most < 200


@pytest.mark.parametrize("size", [1, 4_097, 16_385, 150_000])
def test_many_requests_that_come_at_once_are_all_answered_in_their_order(
    served: Served, record: dict[str, Any], monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    asked, count = b"", 400 if size > 1 else 3
    for number in range(count):
        body = json.dumps({**record, "distance": number + 0.25}).encode()
        asked += HEAD + b"content-length: %d\r\n\r\n" % len(body) + body
        asked += b"GET /%d HTTP/1.1\r\nhost: here\r\n\r\n" % number
    asked += b"GET /healthz HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n"
    with listening(served, monkeypatch) as address, socket.create_connection(address, timeout=30) as client:

        def send() -> None:
            for start in range(0, len(asked), size):
                client.sendall(asked[start : start + size])

        sender = Thread(target=send)
        sender.start()
        answers = b"".join(iter(lambda: client.recv(65_536), b"")).split(b"HTTP/1.1 ")[1:]
        sender.join()

    assert [answer[:3] for answer in answers] == [b"200", b"404"] * count + [b"200"]
    assert [f"there is no /{number};".encode() in answers[2 * number + 1] for number in range(count)] == [True] * count


@pytest.mark.parametrize(
    ("begin", "more"),
    [
        (HEAD, b"x-name: value\r\n"),
        (HEAD + b"x-name: ", b"value"),
        (b"GET /", b"path"),
        (HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n", b"x-trailer: value\r\n"),
        (HEAD + b"transfer-encoding: chunked\r\n\r\n2;", b"extension"),
        (b"", b"\r\n"),
    ],
)
def test_headers_without_an_end_are_not_gathered(
    served: Served, monkeypatch: pytest.MonkeyPatch, begin: bytes, more: bytes
) -> None:
    sent, content = 0, more * (100_000 // len(more))
    with listening(served, monkeypatch) as address, socket.create_connection(address, timeout=10) as client:
        client.sendall(begin)
        with suppress(ConnectionResetError, BrokenPipeError):
            while sent < 5_000_000:
                client.sendall(content)
                sent += len(content)
            while client.recv(65_536):
                pass

        while Connection.open:
            time.sleep(0.001)


def test_headers_that_are_too_long_are_refused_and_others_are_not(
    served: Served, record: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    body = json.dumps(record).encode()
    end = b"\r\ncontent-length: %d\r\n\r\n" % len(body) + body
    with listening(served, monkeypatch) as address, socket.create_connection(address, timeout=10) as client:
        for _ in range(3):
            client.sendall(HEAD + b"x-long: " + b"x" * 60_000 + end)
            assert client.recv(65_536).startswith(b"HTTP/1.1 200")
        client.sendall(HEAD + b"x-long: " + b"x" * 66_000)

        assert client.recv(65_536).startswith(b"HTTP/1.1 431")


def test_a_body_in_small_chunks_is_as_long_as_any(
    served: Served, record: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    body = json.dumps(record).encode().ljust(40_000)
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    with listening(served, monkeypatch) as address, socket.create_connection(address, timeout=10) as client:
        client.sendall(HEAD + b"transfer-encoding: chunked\r\n\r\n" + chunks)

        assert client.recv(65_536).startswith(b"HTTP/1.1 200")


def test_what_is_no_request_is_refused_however_much_of_it_there_is(
    served: Served, record: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    body = json.dumps(record).encode()
    with listening(served, monkeypatch) as address, kept(address, body) as client:
        with suppress(ConnectionResetError, BrokenPipeError):
            client.sendall(b"GET" * 100_000)
            assert client.recv(65_536).startswith(b"HTTP/1.1 400")

        while Connection.open:
            time.sleep(0.001)


@pytest.mark.parametrize("protocol", [b"websocket", b"h2c"])
@pytest.mark.parametrize("size", [1, 100, 100_000])
def test_a_client_that_would_speak_otherwise_is_answered_in_http_and_forgotten(
    served: Served,
    record: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    protocol: bytes,
    size: int,
) -> None:
    wish = b"connection: Upgrade, HTTP2-Settings\r\nhttp2-settings: AAEAAEAA\r\nUpgrade: %b\r\n" % protocol
    body = json.dumps(record).encode()
    asked = b"GET /readyz?a=b HTTP/1.1\r\nhost: here\r\n" + wish + b"\r\n"
    asked += HEAD + wish + b"content-length: %d\r\n\r\n" % len(body) + body
    asked += HEAD + wish + b"transfer-encoding: chunked\r\n\r\n%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"
    asked += HEAD + b"connection: close\r\ncontent-length: %d\r\n\r\n" % len(body) + body
    with listening(served, monkeypatch) as address:
        with socket.create_connection(address, timeout=10) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for start in range(0, len(asked), size):
                client.sendall(asked[start : start + size])
            answers = b"".join(iter(lambda: client.recv(65_536), b"")).split(b"HTTP/1.1 ")[1:]

        assert [answer[:3] for answer in answers] == [b"200"] * 4
        assert [b'"score"' in answer for answer in answers] == [False, True, True, True]
        assert "WebSocket" not in caplog.text
        while Connection.open:
            time.sleep(0.001)


def test_a_tunnel_is_refused(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(served, monkeypatch) as address, socket.create_connection(address, timeout=10) as client:
        client.sendall(b"CONNECT there:80 HTTP/1.1\r\nhost: there\r\n\r\n")

        assert client.recv(65_536).startswith(b"HTTP/1.1 400")
