"""Waits until each HOST:PORT accepts connections, then becomes the command: wait.py HOST:PORT… -- COMMAND…"""

import os
import socket
import sys
import time

PAUSE_S = 1.0


def wait(address: str) -> None:
    """Returns once the address accepts a connection; says so when it has to wait."""
    host, _, port = address.rpartition(":")
    waiting = False
    while True:
        try:
            with socket.create_connection((host, int(port)), timeout=5):
                break
        except OSError as error:
            if not waiting:
                print(f"waiting for {address}: {error}", flush=True)
            waiting = True
            time.sleep(PAUSE_S)
    if waiting:
        print(f"{address} is there", flush=True)


def main(arguments: list[str]) -> None:
    """Waits for what is before `--` and runs what is after it in this very process."""
    addresses, command = arguments[: arguments.index("--")], arguments[arguments.index("--") + 1 :]
    for address in addresses:
        wait(address)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
