"""The wait before a service starts."""

import socket
import subprocess
import sys
from pathlib import Path

WAIT = Path(__file__).parents[2] / "deploy" / "wait.py"


def test_the_command_starts_once_the_address_accepts_connections() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))  # bound and not listening: refused
        address = f"127.0.0.1:{server.getsockname()[1]}"
        command = [sys.executable, str(WAIT), address, "--", "echo", "started", "--", "it"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        first = process.stdout.readline()

        server.listen()
        rest, _ = process.communicate(timeout=30)

    assert first.startswith(f"waiting for {address}: ")
    assert rest.splitlines() == [f"{address} is there", "started -- it"]
    assert process.returncode == 0


def test_an_address_that_is_there_is_not_mentioned() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        command = [sys.executable, str(WAIT), f"127.0.0.1:{server.getsockname()[1]}", "--", "echo", "started"]

        done = subprocess.run(command, capture_output=True, text=True, timeout=30)

    assert done.stdout == "started\n"
