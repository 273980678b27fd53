"""GpuPool: gives a step a GPU, or a share of one, that no other step has."""

import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import dagster as dg

from ml.base.gpus import Gpu, allowed, cuda_started, present
from resources.gpu.claims import Claim
from resources.home import home

POOL = "gpu"  # Dagster's pool of the steps that take a whole GPU
SHARED_POOL = "gpu_shared"  # and of those that take a share of one
POLL_S = 0.1
_VISIBLE = "CUDA_VISIBLE_DEVICES"
_log = logging.getLogger(__name__)
_started_with: str | None = None  # what CUDA_VISIBLE_DEVICES was when CUDA started in this process, under a lease


class NoGpuError(RuntimeError):
    """A GPU is required and there is none that can be used."""


class GpuBusyError(TimeoutError):
    """No GPU came free in time."""


class CudaStartedError(RuntimeError):
    """CUDA has started in this process with other devices than those that were leased."""


@dataclass(frozen=True)
class GpuWish:
    """The GPU that a declaration asks for; `obstacle` says why its library cannot use a GPU here, None if it can."""

    gpu: Literal["required", "preferred", "never"]
    share: float = 1.0
    obstacle: str | None = None

    @property
    def pool(self) -> str | None:
        """Return the Dagster pool of a step with this wish; None for one that wishes for no GPU."""
        if self.gpu == "never":
            return None
        return POOL if self.share == 1 else SHARED_POOL


@dataclass(frozen=True)
class Lease:
    """The device that a step may use: `device` is its name in the block, "cpu" or "cuda:0", whichever GPU that is.

    `downgrade` says why it is the CPU though a GPU was preferred.
    """

    device: Literal["cpu", "cuda:0"]
    gpus: tuple[Gpu, ...] = ()
    share: float = 0.0
    downgrade: str | None = None

    @property
    def devices(self) -> tuple[int, ...]:
        """Return the numbers of the GPUs, as `nvidia-smi` counts them."""
        return tuple(gpu.index for gpu in self.gpus)


class GpuPool(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Leases GPUs to steps, over runs and processes that share a $SEXTANT_HOME.

    `devices` are the numbers of the GPUs to lease; without it, all that CUDA_VISIBLE_DEVICES allows. A number that no
    GPU has stands for a made-up one, for tests. `wait_s` is how long a lease waits at most; None is for ever.
    """

    devices: list[int] | None = None
    wait_s: float | None = None

    def available(self) -> list[Gpu]:
        """Return the GPUs that may be leased."""
        if self.devices is None:
            return allowed(present(), os.environ.get(_VISIBLE))
        real = {gpu.index: gpu for gpu in present()}
        return [real.get(number, Gpu(number, f"made-up-{number}")) for number in self.devices]

    def planned(self, wish: GpuWish) -> str | None:
        """Return the device as coordinates name it, before it is leased: "cuda", or "cpu" and why; None without a wish.

        Raises NoGpuError if a GPU is required and none can be used.
        """
        if wish.gpu == "never":
            return None
        reason = self._obstacle(wish)
        return "cuda" if reason is None else f"cpu (gpu: preferred, {reason})"

    @contextmanager
    def lease(
        self, wish: GpuWish, *, about: Mapping[str, str] | None = None, say: Callable[[str], None] = _log.info
    ) -> Iterator[Lease]:
        """Yield a device for the block, in which CUDA sees the leased GPU alone, as cuda:0.

        While others hold them all it waits, and says for whom. `about` tells others who holds it. Raises NoGpuError if
        a GPU is required and none can be used, GpuBusyError after `wait_s`, and CudaStartedError if CUDA has started in
        this process before, with other devices.
        """
        reason = self._obstacle(wish) if wish.gpu != "never" else None
        if wish.gpu == "never" or reason is not None:
            yield Lease("cpu", downgrade=reason)
            return
        gpus = {gpu.identity: gpu for gpu in self.available()}
        with Claim(home() / "gpu", list(gpus), wish.share, about or {}) as claim:
            gpu = gpus[self._wait(claim, say)]
            with _visible(gpu):
                yield Lease("cuda:0", (gpu,), wish.share)

    def _obstacle(self, wish: GpuWish) -> str | None:
        """Return why there is no GPU for this wish; raise NoGpuError where one is required."""
        reason = wish.obstacle if self.available() else self._why_none()
        if reason is not None and wish.gpu == "required":
            raise NoGpuError(f"gpu: required, but {reason}; mend that, use another machine, or set gpu: preferred")
        return reason

    def _why_none(self) -> str:
        if self.devices is None and present():
            return f"{_VISIBLE}={os.environ.get(_VISIBLE)!r} names none of the GPUs here"
        return "there is no GPU"

    def _wait(self, claim: Claim, say: Callable[[str], None]) -> str:
        since, reported = time.monotonic(), ""
        while (taken := claim.take()) is None:
            ahead = "; ".join(map(str, claim.ahead))
            if ahead != reported:
                say(f"waiting for a GPU: {ahead}")
                reported = ahead
            if self.wait_s is not None and time.monotonic() - since >= self.wait_s:
                raise GpuBusyError(f"no GPU came free in {self.wait_s:g} s (wait_s): {ahead}")
            time.sleep(POLL_S)
        return taken


@contextmanager
def _visible(gpu: Gpu) -> Iterator[None]:
    """Let CUDA see this GPU alone, for the block; a second lease of the same GPU may follow in the same process."""
    global _started_with
    if cuda_started() and _started_with != gpu.visible:
        raise CudaStartedError(
            f"CUDA has started in this process before it was given {gpu}, so it would not see that one alone; lease "
            "the GPU before anything else uses CUDA, and run each step in its own process (the multiprocess executor)"
        )
    before = os.environ.get(_VISIBLE)
    os.environ[_VISIBLE] = gpu.visible
    try:
        yield
    finally:
        if cuda_started():
            _started_with = gpu.visible
            _free_memory()
        os.environ.pop(_VISIBLE, None)
        if before is not None:
            os.environ[_VISIBLE] = before


def _free_memory() -> None:
    """Give the memory that torch keeps for later back to the GPU, which is another's from now on."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
