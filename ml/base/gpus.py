"""The GPUs of this machine: those there are, those that this process may use, and whether CUDA has started."""

import ctypes
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from runpy import run_path
from types import ModuleType

_NOT_INITIALIZED = 3  # CUDA_ERROR_NOT_INITIALIZED


@dataclass(frozen=True)
class Gpu:
    """A GPU by the number that `nvidia-smi` gives it.

    `identity` is the same in every process, container and numbering: its UUID, or without NVML its device node.
    """

    index: int
    identity: str
    model: str | None = None

    @property
    def visible(self) -> str:
        """The value of CUDA_VISIBLE_DEVICES for this GPU alone: a UUID holds in whatever order CUDA counts."""
        return self.identity if self.identity.startswith("GPU-") else str(self.index)

    def __str__(self) -> str:
        return f"GPU {self.index}" + (f" ({self.model})" if self.model else "")


@contextmanager
def nvml() -> Iterator[ModuleType | None]:
    """Yield NVIDIA's management library, ready for the block; None where the driver or the library is missing."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        yield None
        return
    try:
        yield pynvml
    finally:
        pynvml.nvmlShutdown()


@cache
def present() -> tuple[Gpu, ...]:
    """Return the GPUs that are there, in the order of their PCI addresses. It starts no CUDA, so a fork may follow."""
    with nvml() as library:
        if library is None:
            nodes = sorted(Path("/dev").glob("nvidia[0-9]*"), key=lambda node: int(node.name.removeprefix("nvidia")))
            return tuple(Gpu(index, node.name) for index, node in enumerate(nodes))
        handles = [library.nvmlDeviceGetHandleByIndex(index) for index in range(library.nvmlDeviceGetCount())]
        return tuple(
            Gpu(index, library.nvmlDeviceGetUUID(handle), library.nvmlDeviceGetName(handle))
            for index, handle in enumerate(handles)
        )


def allowed(gpus: Sequence[Gpu], visible: str | None) -> list[Gpu]:
    """Return the GPUs that a value of CUDA_VISIBLE_DEVICES names, in its order; all of them where it is not set.

    Numbers are those of `nvidia-smi` (CUDA's own with CUDA_DEVICE_ORDER=PCI_BUS_ID); a UUID may be cut short as long as
    it is unambiguous. As CUDA does, it stops at the first name that is none. Parts of a GPU (MIG) are not known.
    """
    if visible is None:
        return list(gpus)
    visible_gpus: list[Gpu] = []
    for name in map(str.strip, visible.split(",")):
        named = [gpu for gpu in gpus if _is(gpu, name)]
        if len(named) != 1:
            break
        visible_gpus += named
    return list(dict.fromkeys(visible_gpus))


def _is(gpu: Gpu, name: str) -> bool:
    return name == str(gpu.index) or (name.startswith("GPU-") and gpu.identity.startswith(name))


def cuda_started() -> bool:
    """Return whether CUDA is initialised in this process: from then on it does not read CUDA_VISIBLE_DEVICES again."""
    try:
        driver = ctypes.CDLL("libcuda.so.1", mode=os.RTLD_NOLOAD)  # only if something has loaded it already
    except OSError:
        return False
    return bool(driver.cuDeviceGetCount(ctypes.byref(ctypes.c_int())) != _NOT_INITIALIZED)


def torch_without_cuda() -> str | None:
    """Return why the installed torch can use no GPU; None if it can.

    It is read from torch's version file, for its import takes seconds.
    """
    spec = find_spec("torch")
    if spec is None or spec.origin is None:
        return "torch is not installed"
    about = run_path(str(Path(spec.origin).with_name("version.py")))
    return None if about["cuda"] else f"torch {about['__version__']} is built without CUDA"
