"""Lightning Fabric as the training loop uses it: which devices, which precision, how many processes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.strategies.ddp import DDPStrategy
from torch import Tensor

from ml.models.networks.options import LoopOptions

TIMEOUT = timedelta(seconds=60)  # how long processes wait for one that does not answer


def fabric_for(options: LoopOptions) -> Fabric:
    """Return Fabric for these devices; it looks at no cluster's variables, so that a result does not depend on them."""
    kind, _, index = options.device.partition(":")
    devices: Any = [int(index or 0)] if kind == "cuda" else options.processes
    here = LightningEnvironment()
    several = DDPStrategy(
        start_method="spawn",
        process_group_backend="gloo",
        timeout=TIMEOUT,
        cluster_environment=here,
        forward_sync_buffers=False,
    )
    return Fabric(
        accelerator=kind,
        devices=devices,
        strategy=several if options.processes > 1 else "auto",
        precision=precision_of(options),  # type: ignore[arg-type]
        plugins=None if options.processes > 1 else [here],
    )


def precision_of(options: LoopOptions) -> str:
    """Return the precision that `auto` stands for on this device, or the one that is stated."""
    if options.precision != "auto":
        return options.precision
    if options.device == "cpu":
        return "32-true"
    return "bf16-mixed" if torch.cuda.is_bf16_supported() else "16-mixed"


@contextmanager
def exact(options: LoopOptions) -> Iterator[None]:
    """Restrict cuDNN and cuBLAS, on a GPU and for the block, to operations that give the same bits again.

    https://docs.pytorch.org/docs/stable/notes/randomness.html
    """
    if options.device == "cpu":
        yield
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read once, when the process first multiplies there
    cudnn: Any = torch.backends.cudnn
    before = cudnn.deterministic, cudnn.benchmark
    cudnn.deterministic, cudnn.benchmark = True, False
    try:
        yield
    finally:
        cudnn.deterministic, cudnn.benchmark = before


@contextmanager
def own_port() -> Iterator[None]:
    """Forget the port on which processes met, so that the next ones look for a free one."""
    before = os.environ.get("MASTER_PORT")
    try:
        yield
    finally:
        os.environ.pop("MASTER_PORT", None)
        if before is not None:
            os.environ["MASTER_PORT"] = before


def random_state(device: torch.device) -> Tensor:
    """Return the state of torch's random numbers on this device, as bytes."""
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()


def set_random_state(device: torch.device, state: Tensor) -> None:
    """Go on with the random numbers where `state` stood."""
    state = state.clone()  # torch crashes on one whose memory does not start at a multiple of 16 bytes
    if device.type == "cuda":
        torch.cuda.set_rng_state(state, device)
    else:
        torch.set_rng_state(state)
