"""The one training loop: Lightning Fabric owns devices, precision and processes, this file the order of things."""

from __future__ import annotations

import copy
import hashlib
import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from ml.base.files import scratch_folder
from ml.base.hashing import hash_json
from ml.models.networks.checkpoints import CheckpointFile
from ml.models.networks.devices import exact, fabric_for, own_port, precision_of, random_state, set_random_state
from ml.models.networks.modules import Network
from ml.models.networks.options import History, LoopOptions
from ml.models.progress import CheckpointFolder, Progress
from ml.provenance.source import running

VALIDATION_ROWS = 16_384  # at a time, to bound the memory of activations

Tensors = tuple[Tensor, ...]  # what `Network.forward` takes, and last the target: equally many rows each
Report = Callable[[Progress], None]

_log = logging.getLogger(__name__)


def train(
    network: Network,
    rows: Tensors,
    validation: Tensors,
    options: LoopOptions,
    *,
    checkpoints: CheckpointFolder | None = None,
    report: Report | None = None,
    watch: Callable[[float, float], None] | None = None,
) -> History:
    """Train the network in place and leave it with the weights of its best epoch on validation, on the CPU.

    With `stop_after` it has those of the last epoch, and validation decides nothing.

    On a CPU, the same arguments, network and torch give the same bits, also after kills that `checkpoints` bridged.
    `report` hears of every `log_every` steps; with several processes, when all have ended. `watch` hears of every
    epoch, as (epochs, validation loss), and what it raises ends the training; it hears nothing of several processes.
    Raises ArithmeticError if the loss is no number any more.
    """
    fabric = fabric_for(options)
    if options.processes == 1:
        with exact(options):
            return _Training(fabric, network, rows, validation, options, checkpoints, report, watch).run()
    with scratch_folder() as folder, own_port():
        file = folder / "trained.pt"
        # Bound and not passed: Fabric looks for modules in all that is passed, and takes no frozen dataclass.
        work = partial(_work, file=file, rows=rows, validation=validation, options=options, checkpoints=checkpoints)
        launch: Any = fabric.launch
        launch(work, network)
        trained = torch.load(file, weights_only=True)
    network.load_state_dict(trained["network"])
    if report:
        for values in trained["reports"]:
            report(Progress(**values))
    return History(tuple(trained["losses"]))


def _work(
    fabric: Fabric,
    network: Network,
    *,
    file: Path,
    rows: Tensors,
    validation: Tensors,
    options: LoopOptions,
    checkpoints: CheckpointFolder | None,
) -> None:
    """Train in one of several processes; the first one's result is taken, from the file that it writes."""
    reports: list[Progress] = []
    history = _Training(fabric, network, rows, validation, options, checkpoints, reports.append).run()
    if fabric.is_global_zero:
        trained = {"network": network.state_dict(), "losses": list(history.validation)}
        torch.save({**trained, "reports": [asdict(progress) for progress in reports]}, file)


class _Training:
    """One process's part of a training; the parts differ in `fabric.global_rank` only."""

    def __init__(
        self,
        fabric: Fabric,
        network: Network,
        rows: Tensors,
        validation: Tensors,
        options: LoopOptions,
        checkpoints: CheckpointFolder | None,
        report: Report | None,
        watch: Callable[[float, float], None] | None = None,
    ) -> None:
        torch.set_num_threads(options.threads)
        self.fabric, self.options, self.report, self.watch = fabric, options, report, watch
        self.save_every = checkpoints.every_s if checkpoints else math.inf
        identity = _identity(network, (*rows, *validation), options) if checkpoints else ""
        self.file = CheckpointFile(checkpoints.path, identity) if checkpoints else None
        self.network = network.to(fabric.device)
        self.rows: Tensors = tuple(tensor.to(fabric.device) for tensor in rows)
        self.validation: Tensors = tuple(tensor.to(fabric.device) for tensor in validation)
        self.steps = math.ceil(len(rows[-1]) / options.batch)
        self.optimizer = adamw(network, options, fused=precision_of(options) != "16-mixed")
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, self._share)
        self.steppable: Any = fabric.setup_optimizers(self.optimizer)
        torch.manual_seed(options.seed + fabric.global_rank)
        self.order = torch.Generator().manual_seed(options.seed)
        self.losses: list[float] = []
        self.best: dict[str, Tensor] = {}
        self.step = 0

    def run(self) -> History:
        """Train to the end, from a checkpoint if there is one."""
        self._resume()
        try:
            history = self._run()
        except ArithmeticError:  # it would be no number again
            self._forget()
            raise
        self._forget()
        return history

    def _forget(self) -> None:
        if self.file and self.fabric.is_global_zero:
            self.file.remove()

    def _run(self) -> History:
        self._tell_watch(self.losses)
        saved_at = time.monotonic()
        self._set_up()
        self._start_interval()
        while not self._ended():
            if len(self.losses) in self.options.unfreeze:
                self._set_up()
            self._train_epoch()
            self._validate()
            self._tell_watch(self.losses[-1:])
            if self.fabric.broadcast(time.monotonic() - saved_at >= self.save_every):
                self._save()
                saved_at = time.monotonic()
        self.network.load_state_dict(self.best)
        self.network.cpu().eval()
        return History(tuple(self.losses))

    def _tell_watch(self, losses: Sequence[float]) -> None:
        """Pass on the latest losses; what the watch ends is not taken up again."""
        for epoch, loss in enumerate(losses, start=len(self.losses) - len(losses) + 1):
            try:
                if self.watch:
                    self.watch(epoch, loss)
            except Exception:
                self._forget()
                raise

    def _ended(self) -> bool:
        epochs, every_stage = len(self.losses), max(self.options.unfreeze, default=0)
        if epochs >= (self.options.stop_after or self.options.epochs):
            return True
        patient = self.options.stop_after is None and epochs > every_stage
        return patient and epochs - 1 - self._best_epoch() >= self.options.patience

    def _share(self, step: int) -> float:
        return share_of_rate(step, self.options.epochs * self.steps, self.options.warm_up)

    def _best_epoch(self) -> int:
        return self.losses.index(min(self.losses))

    def _set_up(self) -> None:
        """Wrap the network for this epoch: gradients are computed and exchanged for what learns in it alone."""
        if self.options.freeze:
            learning = 1 + sum(len(self.losses) >= epoch for epoch in self.options.unfreeze)
            for distance, stage in enumerate(reversed(self.network.stages)):
                stage.requires_grad_(distance < learning)
        compiled = torch.compile(self.network) if self.options.compile else self.network
        self.runner = self.fabric.setup_module(compiled)  # type: ignore[arg-type]

    def _train_epoch(self) -> None:
        self.network.train()
        order = torch.randperm(len(self.rows[-1]), generator=self.order).to(self.fabric.device)
        # One gather for the whole epoch: each batch is then a view. Batches of nearly one size, so that none is tiny.
        batches = [tensor.index_select(0, order).tensor_split(self.steps) for tensor in self.rows]
        for batch in zip(*batches, strict=True):
            self._train_batch(batch)
            self.step += 1
            if self.report and self.step % self.options.log_every == 0:
                self._report(self.report)

    def _train_batch(self, batch: Tensors) -> None:
        world, parts = self.fabric.world_size, self.options.accumulate
        scale, mine = world / len(batch[-1]), batch  # processes average their gradients: this makes it the rows' mean
        if world > 1:
            mine = tuple(tensor[self.fabric.global_rank :: world] for tensor in batch)
        for number, (*inputs, target) in enumerate(_split(mine, parts)):
            with self.fabric.no_backward_sync(self.runner, enabled=number + 1 < parts):
                loss = self.network.loss(self.runner(*inputs), target) * scale
                self.fabric.backward(loss)
            self.loss += loss.detach()
        self.norm: Any = self.fabric.clip_gradients(
            self.runner, self.steppable, max_norm=self.options.clip_norm, error_if_nonfinite=False
        )
        self.steppable.step()
        self.steppable.zero_grad()
        self.schedule.step()

    def _validate(self) -> None:
        """Take the mean loss over the validation rows, of which a process works off its share."""
        self.network.eval()
        rank, world = self.fabric.global_rank, self.fabric.world_size
        mine = tuple(tensor[rank::world] for tensor in self.validation)
        total = torch.zeros((), device=self.fabric.device)
        with torch.inference_mode():
            for start in range(0, len(mine[-1]), VALIDATION_ROWS):
                *inputs, target = (tensor[start : start + VALIDATION_ROWS] for tensor in mine)
                total += self.network.loss(self.runner(*inputs), target)
        loss = self._over_processes(total, "sum") / len(self.validation[-1])
        if not math.isfinite(loss):
            raise ArithmeticError(
                f"the validation loss is {loss} after epoch {len(self.losses)}: lower the learning rate"
            )
        self.losses.append(loss)
        if self.options.stop_after or self._best_epoch() == len(self.losses) - 1:
            self.best = copy.deepcopy(self.network.state_dict())

    def _start_interval(self) -> None:
        self.loss = torch.zeros((), device=self.fabric.device)
        self.since, self.started = self.step, time.perf_counter()

    def _report(self, report: Report) -> None:
        loss = self._over_processes(self.loss, "mean") / (self.step - self.since)
        rows = len(self.rows[-1]) / self.steps * (self.step - self.since)
        report(
            Progress(
                step=self.step,
                epoch=len(self.losses),
                loss=loss,
                gradient_norm=float(self.norm),
                learning_rate=self.options.learning_rate * self._share(self.step - 1),
                rows_per_s=rows / (time.perf_counter() - self.started),
                validation_loss=self.losses[-1] if self.losses else None,
            )
        )
        self._start_interval()

    def _over_processes(self, value: Tensor, how: Literal["sum", "mean"]) -> float:
        reduced: Any = self.fabric.all_reduce(value, reduce_op=how)
        return float(reduced)

    def _save(self) -> None:
        state = {
            "losses": self.losses,
            "best": self.best,
            "step": self.step,
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "order": self.order.get_state(),
            "random": self.fabric.all_gather(random_state(self.fabric.device)),
        }
        if self.file and self.fabric.is_global_zero:
            self.file.save(state)

    def _resume(self) -> None:
        state = self.file.load() if self.file else None
        if state is None:
            return
        self.losses, self.best, self.step = state["losses"], state["best"], state["step"]
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.order.set_state(state["order"])
        states = state["random"].reshape(self.fabric.world_size, -1)
        set_random_state(self.fabric.device, states[self.fabric.global_rank])
        _log.info("Training goes on after epoch %d, from %s", len(self.losses) - 1, self.file and self.file.path)


def adamw(network: nn.Module, options: LoopOptions, *, fused: bool = True) -> torch.optim.AdamW:
    """Return AdamW (Loshchilov and Hutter 2019) whose decay spares biases and norms: parameters of one dimension."""
    parameters = list(network.parameters())
    matrices = [parameter for parameter in parameters if parameter.ndim >= 2]
    others = [parameter for parameter in parameters if parameter.ndim < 2]
    groups = [{"params": matrices, "weight_decay": options.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=options.learning_rate, fused=fused)


def share_of_rate(step: int, steps: int, warm_up: float) -> float:
    """Return the learning rate of a step from 0 on, over the highest: a linear rise, then half a cosine down to 0."""
    rise = round(warm_up * steps)
    if step < rise:
        return (step + 1) / (rise + 1)
    return (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise))) / 2


def _split(rows: Tensors, parts: int) -> Sequence[Tensors]:
    """Split rows into parts of nearly one size."""
    return [rows] if parts == 1 else list(zip(*(tensor.tensor_split(parts) for tensor in rows), strict=True))


def _identity(network: Network, rows: Tensors, options: LoopOptions) -> str:
    """Return the hash of all that decides a training: code, options, first weights and data."""
    digest = hashlib.sha256(hash_json([asdict(options), torch.__version__, running().hash(__name__)]).encode())
    for tensor in (*network.state_dict().values(), *rows):
        digest.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.cpu().contiguous().numpy().data)
    return digest.hexdigest()
