"""Steps per second of our training loop, and of the usual one around a DataLoader, on small tabular data on a CPU.

Both sides train the same network from the same weights on the same rows, in batches of the same size, with AdamW,
clipping, warm-up, a cosine and a look at the validation rows after each epoch; each by turns, in one process. `ratio`
is our steps per second of processor time over the usual ones, medians of the rounds.
"""

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable

import torch
from torch.utils.data import DataLoader, TensorDataset

from ml.loop_options import LoopOptions
from ml.metrics import Task
from ml.models.shapes import Shape, TabularSizes
from ml.networks import Network, build
from ml.training_loop import share_of_rate, train

Tensors = tuple[torch.Tensor, ...]
NUMBERS, LEVELS = 20, (5, 50, 500)  # columns, and how many values each category has
SHAPE = Shape("mlp", NUMBERS, LEVELS, Task(), TabularSizes(width=64, blocks=2, dropout=0.2))


def main() -> None:
    """Prints every round and, last, one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--batch", type=int, default=500)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    rows, validation = made(given.rows, 0), made(given.rows // 5, 1)
    options = LoopOptions(given.epochs, given.batch, patience=given.epochs, threads=given.threads)
    sides: dict[str, Callable[[Network, Tensors, Tensors, LoopOptions], object]] = {"ours": train, "usual": usual}
    speeds: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(given.rounds):
        for side, function in sides.items():
            torch.manual_seed(0)
            network = build(SHAPE)
            started = time.process_time()
            function(network, rows, validation, options)
            steps = given.epochs * math.ceil(given.rows / given.batch)
            speeds[side].append(steps / (time.process_time() - started))
            print(f"{side:<6} {speeds[side][-1]:7.0f} steps/s", flush=True)
    middle = {side: statistics.median(found) for side, found in speeds.items()}
    result = {"name": "torch_loop", "ratio": round(middle["ours"] / middle["usual"], 2)}
    print(json.dumps({**result, "sides": {side: round(value) for side, value in middle.items()}}))


def made(rows: int, seed: int) -> Tensors:
    """Numbers, codes as the network takes them, and a target that both decide."""
    random = torch.Generator().manual_seed(seed)
    numbers = torch.randn(rows, NUMBERS, generator=random)
    columns = [torch.randint(0, levels + 1, (rows,), generator=random) for levels in LEVELS]
    target = (numbers[:, 0] + (columns[0] > 2) + torch.randn(rows, generator=random) > 0.5).float()
    starts = [sum(LEVELS[:column]) + column for column in range(len(LEVELS))]
    codes = torch.stack([column + start for column, start in zip(columns, starts, strict=True)], dim=1)
    return numbers, codes, target


def usual(network: Network, rows: Tensors, validation: Tensors, options: LoopOptions) -> None:
    """The loop of the tutorials."""
    loader = DataLoader(TensorDataset(*rows), batch_size=options.batch, shuffle=True)
    held_out = DataLoader(TensorDataset(*validation), batch_size=options.batch)
    loss_of = torch.nn.BCEWithLogitsLoss()
    optimizer = torch.optim.AdamW(network.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: share_of_rate(step, options.epochs * len(loader), options.warm_up)
    )
    for _ in range(options.epochs):
        network.train()
        for numbers, codes, target in loader:
            optimizer.zero_grad()
            loss_of(network(numbers, codes)[:, 0], target).backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), options.clip_norm)
            optimizer.step()
            schedule.step()
        network.eval()
        with torch.no_grad():
            sum(loss_of(network(numbers, codes)[:, 0], target).item() for numbers, codes, target in held_out)


if __name__ == "__main__":
    main()
