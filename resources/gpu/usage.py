"""The use that a step makes of its GPU, as NVML tells it while the step runs."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Event, Thread
from types import ModuleType
from typing import Any

from ml.base.gpus import Gpu, nvml

PERIOD_S = 0.2


@dataclass
class Usage:
    """Samples of one GPU; what NVML does not tell is left out.

    `utilization` is that of the whole GPU in percent, whoever used it; `memory` that of this process and of those that
    it has started, together, in bytes.
    """

    gpu: Gpu | None
    total_memory: int | None = None
    utilization: list[int] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    torch_memory: int | None = None  # the most that torch's tensors took in this process, exactly

    def metadata(self) -> dict[str, Any]:
        """Return a table for people, of what was measured alone."""
        seen = self.utilization
        figures = {
            "GPU": str(self.gpu) if self.gpu else None,
            "GPU memory (bytes)": self.total_memory,
            "peak GPU memory of the step's processes (bytes)": max(self.memory, default=None),
            "peak GPU memory of torch's tensors (bytes)": self.torch_memory,
            "mean GPU utilization (%)": round(sum(seen) / len(seen), 1) if seen else None,
            "max GPU utilization (%)": max(seen, default=None),
        }
        return {name: value for name, value in figures.items() if value is not None}


@contextmanager
def measure(gpu: Gpu | None, period_s: float = PERIOD_S) -> Iterator[Usage]:
    """Sample a GPU during the block, at its end at least once; without NVML nothing is claimed but its name."""
    usage, over = Usage(gpu), Event()
    _reset_torch()
    with nvml() as library:
        handle = _handle(library, gpu)
        if library is None or handle is None:
            yield usage
            usage.torch_memory = _torch_memory()
            return
        usage.total_memory = int(library.nvmlDeviceGetMemoryInfo(handle).total)

        def sample() -> None:
            while not over.wait(period_s):
                _sample(library, handle, usage)

        thread = Thread(target=sample, name="gpu-usage", daemon=True)
        thread.start()
        try:
            yield usage
        finally:
            over.set()
            thread.join()
            _sample(library, handle, usage)
            usage.torch_memory = _torch_memory()


def _handle(library: ModuleType | None, gpu: Gpu | None) -> Any:
    if library is None or gpu is None or not gpu.identity.startswith("GPU-"):
        return None
    return library.nvmlDeviceGetHandleByUUID(gpu.identity)


def _sample(library: ModuleType, handle: Any, usage: Usage) -> None:
    """Append what NVML tells; some GPUs do not tell all of it, and in some containers processes have other numbers."""
    with suppress(library.NVMLError_NotSupported):
        usage.utilization.append(int(library.nvmlDeviceGetUtilizationRates(handle).gpu))
    with suppress(library.NVMLError_NotSupported):
        processes, ours = library.nvmlDeviceGetComputeRunningProcesses(handle), _own_processes()
        if taken := sum(process.usedGpuMemory or 0 for process in processes if process.pid in ours):
            usage.memory.append(taken)


def _own_processes() -> set[int]:
    """Return the ids of this process and of all that it has started, such as the workers of a search."""
    import psutil

    return {os.getpid(), *(child.pid for child in psutil.Process().children(recursive=True))}


def _reset_torch() -> None:
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.reset_peak_memory_stats()


def _torch_memory() -> int | None:
    torch = sys.modules.get("torch")
    return int(torch.cuda.max_memory_allocated()) if torch is not None and torch.cuda.is_initialized() else None
