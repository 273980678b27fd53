"""GpuPool: gives each step a device of its own."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import takewhile
from typing import IO, Literal

import dagster as dg

from resources.home import home


class NoGpuError(RuntimeError):
    """A GPU is required and there is none."""


class GpuPool(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Leases whole GPUs to steps, over runs and processes; a lease is a file lock, so a dead step's lease is free."""

    devices: list[int] | None = None

    def available(self) -> list[int]:
        """The GPUs that may be leased: the configured ones, or all that are there and that CUDA may see."""
        if self.devices is not None:
            return self.devices
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        if visible is not None:  # CUDA counts those it may see from 0, and stops at the first that is none
            return list(range(len(list(takewhile(lambda name: name.strip() not in ("", "-1"), visible.split(","))))))
        return [number for number in range(16) if os.path.exists(f"/dev/nvidia{number}")]

    @contextmanager
    def lease(self, wish: Literal["required", "preferred", "never"]) -> Iterator[str]:
        """The device for the block: "cpu" or "cuda:N", waited for while others hold them all.

        Raises NoGpuError if a GPU is required and none is there.
        """
        available = self.available() if wish != "never" else []
        if not available:
            if wish == "required":
                raise NoGpuError("gpu: required, but this machine has no GPU; use one that has, or set gpu: preferred")
            yield "cpu"
            return
        number, lock = self._wait(available)
        try:
            yield f"cuda:{number}"
        finally:
            lock.close()

    def _wait(self, available: list[int]) -> tuple[int, IO[str]]:
        folder = home() / "gpu"
        folder.mkdir(parents=True, exist_ok=True)
        while True:
            for number in available:
                lock = open(folder / f"{number}.lock", "w")  # noqa: SIM115 - the open file is the lease
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    return number, lock
                except BlockingIOError:
                    lock.close()
            time.sleep(0.2)
