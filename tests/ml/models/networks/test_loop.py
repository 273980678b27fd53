"""The training loop: what it computes, what it leaves alone, and that a kill changes nothing."""

import logging
import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from ml.models.networks.checkpoints import CheckpointFile
from ml.models.networks.cnn import pixel_places
from ml.models.networks.devices import exact
from ml.models.networks.loop import Tensors, adamw, share_of_rate, train
from ml.models.networks.modules import Network, Perceptron, build
from ml.models.networks.options import History, LoopOptions
from ml.models.networks.shapes import ImageSizes, Shape, TabularSizes
from ml.models.progress import CheckpointFolder, Progress
from ml.tasks.task import Task

ROOT = Path(__file__).resolve().parents[4]
OPTIONS = LoopOptions(epochs=4, batch=64, patience=4, log_every=1)
IMAGES = Shape("cnn", 16, (), Task(), ImageSizes(*pixel_places([f"p_{i}" for i in range(16)]), 8, 0.0))


def tabular(dropout: float = 0.0, kind: str = "mlp") -> Shape:
    assert kind in ("mlp", "resnet")
    return Shape(kind, 4, (3,), Task(), TabularSizes(16, 2, dropout))


def rows(count: int, seed: int, noise: float = 0.3) -> Tensors:
    random = torch.Generator().manual_seed(seed)
    numbers = torch.randn(count, 4, generator=random)
    codes = torch.randint(0, 4, (count, 1), generator=random)
    target = numbers[:, 0] + (codes[:, 0] == 2) + noise * torch.randn(count, generator=random) > 0.5
    return numbers, codes, target.float()


ROWS, VALIDATION = rows(300, 0), rows(100, 1)


def trained(
    options: LoopOptions = OPTIONS,
    shape: Shape | None = None,
    checkpoints: CheckpointFolder | None = None,
    report: Callable[[Progress], None] | None = None,
    data: Tensors = ROWS,
    validation: Tensors = VALIDATION,
) -> tuple[Network, History]:
    torch.manual_seed(7)
    network = build(shape or tabular())
    return network, train(network, data, validation, options, checkpoints=checkpoints, report=report)


def weights(network: Network) -> Tensor:
    return torch.cat([value.detach().flatten() for value in network.parameters()])


def images(count: int, seed: int) -> Tensors:
    random = torch.Generator().manual_seed(seed)
    pixels = torch.randn(count, 1, 4, 4, generator=random)
    return pixels, (pixels[:, 0, 1, 1] > 0).float()


@pytest.mark.parametrize("kind", ["mlp", "resnet"])
def test_the_same_seed_gives_the_same_bits_and_another_seed_does_not(kind: str) -> None:
    shape = tabular(0.3, kind)

    first, second, other = (trained(replace(OPTIONS, seed=seed), shape)[0] for seed in (1, 1, 2))

    assert torch.equal(weights(first), weights(second))
    assert not torch.equal(weights(first), weights(other))


@pytest.mark.parametrize("shape", [tabular(), tabular(kind="resnet"), IMAGES], ids=["mlp", "resnet", "cnn"])
def test_biases_and_norms_do_not_decay_and_all_else_does(shape: Shape) -> None:
    network = build(shape)
    names = {id(parameter): name for name, parameter in network.named_parameters()}

    decaying, sparing = adamw(network, replace(OPTIONS, weight_decay=0.5)).param_groups

    assert decaying["weight_decay"] == 0.5
    assert sparing["weight_decay"] == 0
    norms = {
        f"{path}.weight"
        for path, module in network.named_modules()
        if isinstance(module, torch.nn.LayerNorm | torch.nn.GroupNorm)
    }
    expected = {name for name in names.values() if name.endswith("bias") or name in norms}
    assert {names[id(parameter)] for parameter in sparing["params"]} == expected
    assert {names[id(parameter)] for parameter in decaying["params"]} == set(names.values()) - expected


def test_the_learning_rate_rises_linearly_and_falls_as_half_a_cosine() -> None:
    shares = [share_of_rate(step, 12, 0.25) for step in range(13)]

    assert shares[:4] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert shares[6] == pytest.approx((1 + math.cos(math.pi / 3)) / 2)
    assert shares[12] == pytest.approx(0)
    assert shares[3:] == sorted(shares[3:], reverse=True)


def test_each_interval_reports_loss_gradient_rate_and_throughput() -> None:
    reports: list[Progress] = []

    _, history = trained(replace(OPTIONS, log_every=2), report=reports.append)

    steps = 4 * 5
    assert [progress.step for progress in reports] == list(range(2, steps + 1, 2))
    assert [progress.learning_rate for progress in reports] == pytest.approx(
        [OPTIONS.learning_rate * share_of_rate(progress.step - 1, steps, OPTIONS.warm_up) for progress in reports]
    )
    assert reports[0].loss == pytest.approx(math.log(2), abs=0.1)
    assert reports[-1].loss < reports[0].loss
    assert all(progress.gradient_norm > 0 and progress.rows_per_s > 0 for progress in reports)
    losses = {progress.step: progress.validation_loss for progress in reports}
    assert (losses[2], losses[8]) == (None, history.validation[0])


@pytest.mark.parametrize("shape", [tabular(), tabular(kind="resnet")], ids=["mlp", "resnet"])
def test_half_batches_accumulated_twice_are_one_whole_batch(shape: Shape) -> None:
    whole, halves = (trained(replace(OPTIONS, accumulate=parts), shape)[0] for parts in (1, 2))

    assert torch.allclose(weights(whole), weights(halves), atol=1e-6)


def test_a_short_last_part_of_a_batch_counts_by_its_rows() -> None:
    options = replace(OPTIONS, batch=300, epochs=1)

    whole, thirds = (trained(replace(options, accumulate=parts), data=rows(100, 3))[0] for parts in (1, 7))

    assert torch.allclose(weights(whole), weights(thirds), atol=1e-6)


def test_gradients_longer_than_the_norm_are_scaled_down_to_it() -> None:
    torch.manual_seed(7)
    before = weights(build(tabular()))

    moved, clipped = (
        (weights(trained(replace(OPTIONS, clip_norm=norm, weight_decay=0))[0]) - before).abs().max()
        for norm in (1.0, 1e-14)  # AdamW adds 1e-8 to the gradient's size before it divides by it
    )

    assert moved > 1e-3
    assert clipped < 1e-7


def test_training_stops_early_and_keeps_the_weights_of_the_best_epoch() -> None:
    noise = rows(60, 0, noise=50)
    options = LoopOptions(epochs=200, batch=16, learning_rate=0.01, patience=5)

    network, history = trained(options, data=noise, validation=VALIDATION)

    assert len(history.validation) == history.best_epoch + 1 + options.patience < 200
    *inputs, target = VALIDATION
    with torch.inference_mode():
        loss = float(network.loss(network(*inputs), target)) / len(target)
    assert loss == pytest.approx(min(history.validation), abs=1e-6)


def test_a_loss_that_is_no_number_ends_training_with_its_epoch() -> None:
    with pytest.raises(ArithmeticError, match=r"the validation loss is (nan|inf) after epoch 0: lower the learning"):
        trained(replace(OPTIONS, learning_rate=1e20), tabular(kind="resnet"))


def test_a_training_whose_loss_is_no_number_any_more_leaves_no_checkpoint(tmp_path: Path) -> None:
    validation = (*VALIDATION[:-1], VALIDATION[-1].clone())
    checkpoints: list[list[Path]] = []

    def spoil(epoch: float, loss: float) -> None:
        checkpoints.append(list(tmp_path.iterdir()))
        validation[-1][0] = math.nan if epoch == 2 else validation[-1][0]

    torch.manual_seed(7)
    with pytest.raises(ArithmeticError, match="after epoch 2"):
        train(build(tabular()), ROWS, validation, OPTIONS, checkpoints=CheckpointFolder(tmp_path, 0), watch=spoil)

    assert [len(files) for files in checkpoints] == [0, 1]  # each epoch is saved after it is watched
    assert list(tmp_path.iterdir()) == []


def test_what_is_set_to_be_exact_on_a_gpu_is_as_it_was_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    cudnn = torch.backends.cudnn
    monkeypatch.setattr(cudnn, "benchmark", True)

    with exact(OPTIONS):
        untouched = cudnn.deterministic, cudnn.benchmark, os.environ.get("CUBLAS_WORKSPACE_CONFIG")
    with exact(replace(OPTIONS, device="cuda:0")):
        inside = cudnn.deterministic, cudnn.benchmark, os.environ.get("CUBLAS_WORKSPACE_CONFIG")

    assert untouched == (False, True, None)
    assert inside == (True, False, ":4096:8")
    assert (cudnn.deterministic, cudnn.benchmark) == (False, True)


def test_bfloat16_is_used_where_it_is_asked_for_and_weights_stay_float32() -> None:
    (exact, _), (mixed, history) = (trained(replace(OPTIONS, precision=name)) for name in ("auto", "bf16-mixed"))

    assert not torch.equal(weights(exact), weights(mixed))
    assert weights(mixed).dtype == torch.float32
    assert history.validation[-1] < history.validation[0]


@pytest.mark.slow
def test_a_compiled_network_learns_the_same() -> None:
    (plain, _), (compiled, _) = (trained(replace(OPTIONS, compile=flag)) for flag in (False, True))

    assert torch.allclose(weights(plain), weights(compiled), atol=1e-4)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > 0


def test_frozen_stages_keep_still_until_their_epochs() -> None:
    torch.manual_seed(0)
    network = build(IMAGES)
    before = [stage_weights(stage) for stage in network.stages]
    learned: dict[int, list[bool]] = {}

    def look(progress: Progress) -> None:
        now = [stage_weights(stage) for stage in network.stages]
        learned[progress.epoch] = [not torch.equal(*pair) for pair in zip(before, now, strict=True)]

    options = replace(OPTIONS, epochs=5, freeze=True, unfreeze=(1, 3), patience=1)
    train(network, images(200, 0), images(50, 1), options, report=look)

    assert learned[0] == [False, False, False, True]
    assert learned[1] == learned[2] == [False, False, True, True]
    assert learned[3] == [False, True, True, True]


def stage_weights(stage: torch.nn.Module) -> Tensor:
    return torch.cat([value.detach().flatten().clone() for value in stage.parameters()])


CHILD = """
import os, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from tests.ml.models.networks import test_loop as t

point, folder = sys.argv[2], Path(sys.argv[3])
replace = os.replace
saves = 0

def at_step(progress):
    if point == "amid an epoch" and progress.step == 13:
        t.die()

def replaced(source, target):
    global saves
    saves += 1
    if point == "before the rename" and saves == 3:
        t.die()
    replace(source, target)
    if point == "after the rename" and saves == 3:
        t.die()

os.replace = replaced
t.trained(t.LONG, t.tabular(0.3), t.CheckpointFolder(folder, 0), at_step)
"""
LONG = replace(OPTIONS, epochs=6, patience=6)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.parametrize("point", ["amid an epoch", "before the rename", "after the rename"])
def test_a_killed_training_goes_on_to_the_same_bits(
    point: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    uninterrupted, history = trained(LONG, tabular(0.3))
    child = subprocess.run([sys.executable, "-c", CHILD, str(ROOT), point, str(tmp_path)], cwd=ROOT, check=False)
    left = [path.suffix for path in tmp_path.iterdir()]

    with caplog.at_level(logging.INFO):
        resumed, again = trained(LONG, tabular(0.3), CheckpointFolder(tmp_path, 0))

    assert child.returncode == -signal.SIGKILL
    assert ".pt" in left
    epoch = 2 if point == "after the rename" else 1
    assert f"Training goes on after epoch {epoch}" in caplog.text
    assert torch.equal(weights(resumed), weights(uninterrupted))
    assert again == history
    assert list(tmp_path.iterdir()) == []


def stopped(folder: Path, options: LoopOptions = LONG, data: Tensors = ROWS) -> None:
    """Leaves a checkpoint behind."""

    def stop(progress: Progress) -> None:
        if progress.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(options, checkpoints=CheckpointFolder(folder, 0), report=stop, data=data)


def test_a_checkpoint_holds_model_optimizer_schedule_epoch_and_random_state(tmp_path: Path) -> None:
    stopped(tmp_path)

    (file,) = tmp_path.iterdir()

    state = torch.load(file, weights_only=True)
    assert set(state) == {
        "identity", "losses", "best", "step", "network", "optimizer", "schedule", "order", "random",
    }  # fmt: skip
    assert len(state["losses"]) == 2
    assert state["step"] == state["schedule"]["last_epoch"] == 10


@pytest.mark.parametrize(
    ("options", "data"),
    [(replace(LONG, weight_decay=0.1), ROWS), (LONG, rows(300, 5))],
    ids=["other options", "other data"],
)
def test_another_trainings_checkpoint_is_not_taken_up(options: LoopOptions, data: Tensors, tmp_path: Path) -> None:
    stopped(tmp_path)

    resumed, _ = trained(options, checkpoints=CheckpointFolder(tmp_path, 0), data=data)

    assert torch.equal(weights(resumed), weights(trained(options, data=data)[0]))


def test_a_file_of_another_training_or_a_broken_one_is_ignored_with_a_reason(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mine, theirs = CheckpointFile(tmp_path, "mine"), CheckpointFile(tmp_path, "theirs")
    theirs.save({"step": 3})
    theirs.path.rename(mine.path)

    assert mine.load() is None
    assert "it is that of theirs, of other code, data or options" in caplog.text

    mine.path.write_bytes(mine.path.read_bytes()[:200])

    assert mine.load() is None
    assert "it cannot be read" in caplog.text


def test_a_checkpoint_cannot_run_code(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = CheckpointFile(tmp_path, "mine")
    torch.save({"identity": "mine", "step": print}, file.path)

    assert file.load() is None
    assert "it cannot be read" in caplog.text


@pytest.mark.slow
def test_two_processes_train_as_one_does_with_the_same_batch() -> None:
    reports: list[Progress] = []

    one, history = trained()
    two, shared = trained(replace(OPTIONS, processes=2), report=reports.append)

    assert shared.validation == pytest.approx(history.validation, abs=1e-6)
    assert torch.allclose(weights(one), weights(two), atol=1e-5)
    assert [progress.step for progress in reports] == list(range(1, 21))
    assert "MASTER_PORT" not in os.environ


@pytest.mark.slow
def test_two_processes_freeze_and_accumulate_as_one_does() -> None:
    options = replace(OPTIONS, epochs=3, freeze=True, unfreeze=(1, 2), accumulate=2)
    data, validation = images(101, 0), images(51, 1)

    (one, history), (two, shared) = (
        trained(replace(options, processes=count), IMAGES, data=data, validation=validation) for count in (1, 2)
    )

    assert shared.validation == pytest.approx(history.validation, abs=1e-5)
    assert torch.allclose(weights(one), weights(two), atol=1e-4)


class Fatal(Perceptron):
    """Kills the second process at its 13th look at rows that are learned from."""

    seen = 0

    def forward(self, numbers: Tensor, codes: Tensor | None = None) -> Tensor:
        self.seen += self.training
        if self.seen == 13 and os.environ["LOCAL_RANK"] == "1":
            die()
        return super().forward(numbers, codes)


FATAL = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from tests.ml.models.networks import test_loop as t

if __name__ == "__main__":
    t.torch.manual_seed(7)
    t.train(t.Fatal(t.tabular(0.3)), t.ROWS, t.VALIDATION, t.TWO, checkpoints=t.CheckpointFolder(Path(sys.argv[2]), 0))
"""
TWO = replace(LONG, processes=2)


@pytest.mark.slow
def test_the_death_of_one_process_ends_all_and_they_resume_to_the_same_bits(tmp_path: Path) -> None:
    folder, script = tmp_path / "checkpoints", tmp_path / "fatal.py"
    script.write_text(FATAL)

    child = subprocess.run(
        [sys.executable, str(script), str(ROOT), str(folder)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    left = [path.suffix for path in folder.iterdir()]
    resumed, again = trained(TWO, tabular(0.3), CheckpointFolder(folder, 0))

    assert child.returncode == 1
    assert "process 1 terminated with signal SIGKILL" in child.stderr
    assert left == [".pt"]
    uninterrupted, history = trained(TWO, tabular(0.3))
    assert torch.equal(weights(resumed), weights(uninterrupted))
    assert again == history


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"epochs": 0}, r"`epochs=0` must be at least 1"),
        ({"learning_rate": -1.0}, r"`learning_rate=-1.0` must be above 0"),
        ({"warm_up": 1.0}, r"must be a share of all steps in \[0, 1\)"),
        ({"precision": "int4"}, r"no precision 'int4'. Allowed: \['auto', '32-true', 'bf16-mixed', '16-mixed'\]"),
        ({"precision": "16-mixed"}, r"needs a GPU. On a CPU: '32-true' or 'bf16-mixed'"),
        ({"processes": 2, "device": "cuda:0"}, r"on a CPU only. Got the device 'cuda:0'"),
        ({"unfreeze": (1,)}, r"needs `freeze=True`"),
        ({"freeze": True, "unfreeze": (3, 2)}, r"must be rising epochs from 1 to 11"),
        ({"freeze": True, "unfreeze": (12,)}, r"must be rising epochs from 1 to 11"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_options_that_make_no_sense_are_refused_with_what_does(wrong: dict[str, object], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        LoopOptions(**wrong)  # type: ignore[arg-type]
