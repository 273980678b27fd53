"""Draining: a worker that is asked to end loses no request that somebody has sent it."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import signal
import socket
import stat
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

from service.http.served import Served

logger = logging.getLogger("bentoml.sextant")

LAST_S = 1.0  # for requests over connections that were made before the end, as long as a first packet is not repeated
KEPT_OPEN_S = 1.0
SO_ATTACH_FILTER, SO_DETACH_FILTER = 26, 27  # of Linux, where alone sockets are found
IP_MINTTL, IPV6_MINHOPCOUNT = 21, 73
ALL_HOPS, ANY_HOPS = 255, 0  # that a packet has left: systems send theirs with 64 or 128
LOOK_S = 0.05
# Of the packets that open a connection only the first has no ACK: byte 13 of a TCP header are its flags.
_DROP_FIRST_PACKETS = b"".join(
    struct.pack("HBBI", *instruction)
    for instruction in [(0x30, 0, 0, 13), (0x45, 0, 1, 0x10), (0x06, 0, 0, 0xFFFFFFFF), (0x06, 0, 0, 0)]
)

Handler = Callable[[int, FrameType | None], object]


def drain_on_sigterm(served: Served) -> None:
    """Let SIGTERM make the process not ready, answer all that comes for a while, and only then end the server.

    Until then each answer closes its connection, so that its client goes elsewhere; whatever is in work when the
    server ends is finished, as it does of itself. A second signal ends it at once. Called in the event loop.
    """
    end = signal.getsignal(signal.SIGTERM)
    if threading.current_thread() is not threading.main_thread() or not callable(end):
        return  # no server of its own that a signal could end
    loop, tasks = asyncio.get_running_loop(), list[asyncio.Task[None]]()

    def ask(number: int, frame: FrameType | None) -> None:
        seconds = served.limits.drain_seconds
        if served.draining or not seconds:
            end(number, frame)
            return
        served.drain()
        logger.info("SIGTERM: not ready any more; requests are answered for %g s", seconds)
        loop.call_soon_threadsafe(lambda: tasks.append(loop.create_task(_drain(served, seconds, end, number))))

    signal.signal(signal.SIGTERM, ask)
    _keep_open(served, loop)


def _keep_open(served: Served, loop: asyncio.AbstractEventLoop) -> None:
    """Take new connections again, every second: another worker may have ended alone, and closed the door for all."""
    if not served.draining:
        for listener in listeners():
            with listener:
                with suppress(OSError):  # there is no filter, as a rule
                    listener.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)
                with suppress(OSError):
                    _want_hops(listener, ANY_HOPS)
        loop.call_later(KEPT_OPEN_S, _keep_open, served, loop)


async def _drain(served: Served, seconds: float, end: Handler, number: int) -> None:
    """Answer all for a while, then only who is connected already, then end.

    The process that started this one holds its sockets open beyond its end: who connected then would hear nothing.
    """
    await asyncio.sleep(seconds)
    for listener in listeners():
        with listener:
            _take_no_more(listener)
    await asyncio.gather(_answer_the_last(), *(close() for close in served.closers))
    end(number, None)


async def _answer_the_last() -> None:
    """Let those be heard that have connected by now, as long as a first packet is not repeated."""
    for _ in range(round(LAST_S / LOOK_S)):
        await asyncio.sleep(LOOK_S)
        for connection in connections():
            with connection, suppress(OSError):
                _want_hops(connection, ANY_HOPS)  # made in that very moment, it has what the listener wants


def _take_no_more(listener: socket.socket) -> None:
    """Let the kernel drop the first packet of each new connection, which its client repeats until it is refused.

    To close the socket would reset those connections that wait in it, with what was sent over them.
    """
    code = (ctypes.c_char * len(_DROP_FIRST_PACKETS)).from_buffer_copy(_DROP_FIRST_PACKETS)
    program = struct.pack("HL", len(_DROP_FIRST_PACKETS) // 8, ctypes.addressof(code))
    try:
        listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
    except OSError:  # not everybody may filter everywhere
        try:
            _want_hops(listener, ALL_HOPS)
        except OSError as error:
            logger.warning("connections of the last moment may be reset: %s", error)


def _want_hops(connection: socket.socket, least: int) -> None:
    """Let the kernel drop packets to a socket that have fewer hops left."""
    connection.setsockopt(socket.IPPROTO_IP, IP_MINTTL, least)
    if connection.family == socket.AF_INET6:
        connection.setsockopt(socket.IPPROTO_IPV6, IPV6_MINHOPCOUNT, least)


def listeners() -> list[socket.socket]:
    """Return the sockets of this process that take connections, each as a copy."""
    return _sockets(taking=True)


def connections() -> list[socket.socket]:
    """Return the other sockets of this process, each as a copy."""
    return _sockets(taking=False)


def _sockets(taking: bool) -> list[socket.socket]:
    folder = "/proc/self/fd"
    copies = list[socket.socket]()
    for handle in map(int, os.listdir(folder) if os.path.isdir(folder) else []):
        with suppress(OSError):  # it is closed by now, as that of the listing itself
            if stat.S_ISSOCK(os.fstat(handle).st_mode):
                copies.append(socket.socket(fileno=os.dup(handle)))
    chosen = list[socket.socket]()
    for copy in copies:
        if bool(copy.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)) is taking:
            chosen.append(copy)
        else:
            copy.close()
    return chosen
