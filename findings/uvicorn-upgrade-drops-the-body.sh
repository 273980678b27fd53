#!/usr/bin/env bash
# A POST that would go on in HTTP/2, as Java's HttpClient asks by default, reaches the application without its body, in silence.
#
# Versions: uvicorn 0.54.0, httptools 0.9.0, Python 3.11.
# Expected: a wish to upgrade that is not heard changes nothing (RFC 9110, 7.8); so it is with uvicorn's other parser, h11.
# Behaviour: httptools ends the message with its headers and says where; uvicorn warns, and drops what follows: the body.
# Seen: the application reads b'' with httptools, which is chosen where it is installed, and b'{"x":1}' with h11.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check uvicorn==0.54.0 h11==0.16.0 httptools==0.9.0
venv/bin/python - <<'PYTHON'
import asyncio
import socket
import threading
import time

import uvicorn

bodies = []


async def app(scope, receive, send):
    bodies.append((await receive())["body"])
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


request = (
    b"POST / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    b'HTTP2-Settings: AAEAAEAA\r\nContent-Length: 7\r\n\r\n{"x":1}'
)
for parser in ("httptools", "h11"):
    server = uvicorn.Server(uvicorn.Config(app, port=0, http=parser, lifespan="off", log_level="critical"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
    thread.start()
    while not server.started:
        time.sleep(0.01)
    with socket.create_connection(server.servers[0].sockets[0].getsockname(), timeout=10) as client:
        client.sendall(request)
        client.recv(1000)
    server.should_exit = True
    thread.join()

print(dict(zip(("httptools", "h11"), bodies)))
assert bodies == [b"", b'{"x":1}'], bodies
PYTHON
