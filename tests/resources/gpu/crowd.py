"""A process that leases GPUs over and over, and writes into a shared file when it holds what."""

import os
import random
import sys

from resources.gpu.pool import GpuPool, GpuWish

SHARES = (1.0, 0.5, 0.3, 0.1)


def main(log: str, seed: int, times: int) -> None:
    draw, pool = random.Random(seed), GpuPool(devices=[0, 1])
    file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for _ in range(times):
        with pool.lease(GpuWish("required", draw.choice(SHARES))) as lease:
            os.write(file, f"+ {lease.devices[0]} {lease.share}\n".encode())
            sum(range(200_000))
            os.write(file, f"- {lease.devices[0]} {lease.share}\n".encode())


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
