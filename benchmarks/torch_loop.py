"""Steps per second of our training loop, and of the usual one around a DataLoader, on tabular data.

Both sides train the same network from the same weights on the same rows, in batches of the same size, with AdamW,
clipping, warm-up, a cosine and a look at the validation rows after each epoch; each by turns, in one process, in
float32. `ratio` is our steps per second over the usual ones, medians of the rounds: of processor time on a CPU, of the
clock on a GPU (`--device cuda`).

`peak_share` is how much of the device a side uses: the floating-point operations of its steps per second, forward and
backward, over those of a product of two large matrices, measured in the same run. A small network has little of it.
"""

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable

import torch
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.flop_counter import FlopCounterMode

from ml.models.networks.loop import share_of_rate, train
from ml.models.networks.modules import Network, build
from ml.models.networks.options import LoopOptions
from ml.models.networks.shapes import Shape, TabularSizes
from ml.tasks.task import Task

Tensors = tuple[torch.Tensor, ...]
NUMBERS, LEVELS = 20, (5, 50, 500)  # columns, and how many values each category has


def main() -> None:
    """Print every round and, last, one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--batch", type=int, default=500)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--width", type=int, default=64, help="units of a hidden layer")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = torch.device(arguments.device)
    shape = Shape("mlp", NUMBERS, LEVELS, Task(), TabularSizes(width=arguments.width, blocks=2, dropout=0.2))
    rows, validation = draw(arguments.rows, 0), draw(arguments.rows // 5, 1)
    options = LoopOptions(
        arguments.epochs,
        arguments.batch,
        patience=arguments.epochs,
        precision="32-true",
        device=arguments.device,
        threads=arguments.threads,
    )
    sides: dict[str, Callable[[Network, Tensors, Tensors, LoopOptions], object]] = {"ours": train, "usual": usual}
    speeds: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(arguments.rounds):
        for side, function in sides.items():
            torch.manual_seed(0)
            network = build(shape)
            started = seconds(device)
            function(network, rows, validation, options)
            steps = arguments.epochs * math.ceil(arguments.rows / arguments.batch)
            speeds[side].append(steps / (seconds(device) - started))
            print(f"{side:<6} {speeds[side][-1]:7.0f} steps/s", flush=True)
    medians = {side: statistics.median(speeds_of_side) for side, speeds_of_side in speeds.items()}
    share = operations(build(shape), tuple(column[: arguments.batch] for column in rows)) / most_operations(device)
    figures = {
        side: {
            "steps_per_s": round(value),
            "samples_per_s": round(value * arguments.rows * arguments.epochs / steps),
            "peak_share": float(f"{value * share:.2g}"),
        }
        for side, value in medians.items()
    }
    ratio = round(medians["ours"] / medians["usual"], 2)
    print(json.dumps({"name": "torch_loop", "ratio": ratio, "device": arguments.device, "sides": figures}))


def seconds(device: torch.device) -> float:
    """Return the time that counts on a device, once it has done all that was asked of it."""
    if device.type == "cpu":
        return time.process_time()
    torch.cuda.synchronize(device)
    return time.perf_counter()


def operations(network: Network, batch: Tensors) -> float:
    """Return the floating-point operations of a step on a batch, forward and backward."""
    numbers, codes, target = batch
    with FlopCounterMode(display=False) as counter:
        torch.nn.functional.binary_cross_entropy_with_logits(network(numbers, codes)[:, 0], target).backward()
    return float(counter.get_total_flops())


def most_operations(device: torch.device, side: int = 4096, rounds: int = 5) -> float:
    """Return the floating-point operations per second of a product of float32 matrices, the best of some rounds."""
    left, right = (torch.randn(side, side, device=device) for _ in range(2))
    times = []
    for _ in range(rounds):
        started = seconds(device)
        torch.mm(left, right)
        times.append(seconds(device) - started)
    return 2 * side**3 / min(times)


def draw(rows: int, seed: int) -> Tensors:
    """Draw numbers, codes as the network takes them, and a target that both decide."""
    random = torch.Generator().manual_seed(seed)
    numbers = torch.randn(rows, NUMBERS, generator=random)
    columns = [torch.randint(0, levels + 1, (rows,), generator=random) for levels in LEVELS]
    target = (numbers[:, 0] + (columns[0] > 2) + torch.randn(rows, generator=random) > 0.5).float()
    starts = [sum(LEVELS[:column]) + column for column in range(len(LEVELS))]
    codes = torch.stack([column + start for column, start in zip(columns, starts, strict=True)], dim=1)
    return numbers, codes, target


def usual(network: Network, rows: Tensors, validation: Tensors, options: LoopOptions) -> None:
    """Train by the loop of the tutorials."""
    device = torch.device(options.device)
    network.to(device)
    loader = DataLoader(TensorDataset(*rows), batch_size=options.batch, shuffle=True)
    held_out = DataLoader(TensorDataset(*validation), batch_size=options.batch)
    loss_of = torch.nn.BCEWithLogitsLoss()
    optimizer = torch.optim.AdamW(network.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: share_of_rate(step, options.epochs * len(loader), options.warm_up)
    )
    for _ in range(options.epochs):
        network.train()
        for batch in loader:
            numbers, codes, target = (tensor.to(device) for tensor in batch)
            optimizer.zero_grad()
            loss_of(network(numbers, codes)[:, 0], target).backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), options.clip_norm)
            optimizer.step()
            schedule.step()
        network.eval()
        with torch.no_grad():
            for batch in held_out:
                numbers, codes, target = (tensor.to(device) for tensor in batch)
                loss_of(network(numbers, codes)[:, 0], target).item()


if __name__ == "__main__":
    main()
