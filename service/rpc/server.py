"""The gRPC server of a process, in its event loop and beside its HTTP; with several workers they share the port."""

from __future__ import annotations

import logging
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from time import perf_counter
from typing import Any

from starlette.exceptions import HTTPException

from service.http.drain import listeners
from service.http.kserve import in_words
from service.http.limits import SettingError
from service.http.scoring import REFUSED
from service.http.served import Served
from service.http.settings import GRPC_PORT as PORT
from service.http.trace import begin
from service.rpc.inference import Inference
from service.rpc.messages import METHODS, SERVICE, message_classes

logger = logging.getLogger("bentoml.sextant")

LOCAL = "127.0.0.1"
ASK_WITH = "this service takes an API key, in the metadata as `authorization: Bearer <key>` or `x-api-key: <key>`"
SHOWN = 4_000  # characters of an error: gRPC sends it in a header, of 8 KiB at most
PROBES, INFER = ("ServerLive", "ServerReady"), "ModelInfer"  # probes need no API key, as in HTTP
CODES = {
    401: "UNAUTHENTICATED",
    404: "NOT_FOUND",
    413: "RESOURCE_EXHAUSTED",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
}
ENVELOPE_BYTES = 1_000_000  # of a message around its tensors


class Server:
    """A started server; `port` is the one that it listens on."""

    def __init__(self, server: Any, port: int, served: Served) -> None:
        self.port = port
        self._server, self._served = server, served

    async def close(self) -> None:
        """Take no more requests, and finish those in work."""
        await self._server.stop(grace=self._served.limits.seconds)


def read_address(environment: Mapping[str, str]) -> tuple[str, int] | None:
    """Return the host and the port of the setting; None: it is not set. Raises SettingError.

    Without a host it is that of the sockets on which this process answers already.
    """
    setting = environment.get(PORT, "")
    if not setting:
        return None
    host, _, port = setting.rpartition(":")
    if not port.isdecimal() or not 0 <= int(port) <= 65_535:
        raise SettingError(f"{PORT} is {setting!r}; allowed: a port, or a host and a port, such as 0.0.0.0:8033")
    return host.strip("[]") or _host(), int(port)


async def serve_beside(served: Served, environment: Mapping[str, str]) -> None:
    """Start a server if the environment asks for one; where it cannot be, the process is not ready and says why."""
    try:
        if (address := read_address(environment)) is not None:
            await start(served, *address)
    except SettingError as error:
        served.not_ready = str(error)
        logger.error("%s", error)


def _host() -> str:
    hosts = []
    for listener in listeners():
        with listener:
            if listener.family in (socket.AF_INET, socket.AF_INET6):
                hosts.append(listener.getsockname()[0])
    return hosts[0] if hosts else LOCAL


async def start(served: Served, host: str, port: int) -> Server:
    """Start a server over what is `served`; raises SettingError where it cannot be."""
    try:
        import google.protobuf  # noqa: F401
        import grpc
    except ImportError as error:
        raise SettingError(
            f"{PORT} is set, and {error.name} is not installed: install grpcio and protobuf beside the service "
            f"(`bento: {{extras: [grpc]}}`), or leave {PORT} away"
        ) from None
    longest = served.limits.batch_bytes + ENVELOPE_BYTES
    options = [
        ("grpc.max_receive_message_length", longest),
        ("grpc.max_send_message_length", -1),
        ("grpc.so_reuseport", 1),
    ]
    server = grpc.aio.server(options=options)
    server.add_generic_rpc_handlers((_handlers(served),))
    try:
        bound = server.add_insecure_port(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    except RuntimeError as error:
        raise SettingError(f"{PORT}: {host}:{port} cannot be listened on: {error}") from None
    await server.start()
    started = Server(server, bound, served)
    served.closers.append(started.close)
    logger.info("gRPC is answered on %s:%d", host, bound)
    return started


def _handlers(served: Served) -> Any:
    import grpc

    classes, inference = message_classes(), Inference(served)
    handlers = {
        name: grpc.unary_unary_rpc_method_handler(
            partial(_answer, served, name, getattr(inference, name)),
            request_deserializer=classes[f"{name}Request"].FromString,
            response_serializer=classes[f"{name}Response"].SerializeToString,
        )
        for name in METHODS
    }
    return grpc.method_handlers_generic_handler(SERVICE, handlers)


async def _answer(
    served: Served, name: str, method: Callable[[Any], Awaitable[Any]], request: Any, context: Any
) -> Any:
    """Answer a request, and count it by the status that HTTP would have."""
    begun, response, status, message = perf_counter(), None, 200, ""
    trace = begin([(key.encode(), _bytes(value)) for key, value in context.invocation_metadata() or ()])
    served.work.count += 1
    try:
        _admit(served, name, context)
        response = await method(request)
    except REFUSED as error:
        message, status = in_words(error, served.limits)
    except HTTPException as error:
        message, status = error.detail, error.status_code
    except Exception:
        logger.exception("%s failed", name)
        message, status = "the service failed on this request; its log says why", 500
    finally:
        served.work.count -= 1
    served.note(f"{SERVICE}/{name}", status, perf_counter() - begun, trace)
    if response is None:
        await context.abort(_code(status), message[:SHOWN])
    return response


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode()


def _admit(served: Served, name: str, context: Any) -> None:
    """Let a request in; raises HTTPException where it needs a key and has none, or where too many are in work."""
    if name in PROBES:
        return
    keys = served.access.keys if served.access is not None else None
    if keys is not None and not keys.allow(_headers(context.invocation_metadata())):
        raise HTTPException(401, ASK_WITH)
    if name == INFER and served.work.count > served.limits.concurrent:
        raise HTTPException(429, f"{served.work.count - 1} requests are in work; send it again later")


def _headers(metadata: Sequence[tuple[str, str | bytes]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value if isinstance(value, bytes) else value.encode()) for name, value in metadata]


def _code(status: int) -> Any:
    """Return gRPC's code of a status of HTTP."""
    import grpc

    return getattr(grpc.StatusCode, CODES.get(status, "INVALID_ARGUMENT" if status < 500 else "INTERNAL"))
