"""A process that leases a GPU: says so, holds it until it is told to let go, then says that too.

Its arguments are JSON: `devices`, `share`, and `fork` if a child of it is to live on with the lease.
"""

import json
import os
import sys

from resources.gpu.pool import GpuPool, GpuWish


def say(text: str) -> None:
    print(text, flush=True)


def main(devices: list[int], share: float = 1.0, fork: bool = False) -> None:
    about = {"run": "a1b2", "asset": "case/models/mlp"}
    with GpuPool(devices=devices).lease(GpuWish("required", share), about=about, say=say) as lease:
        if fork and os.fork() == 0:
            sys.stdin.readline()
            os._exit(0)
        say(f"holds {lease.devices[0]}")
        sys.stdin.readline()
    say("let go")


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
