"""The families of networks: what only images need, and that what a declaration states acts."""

import re
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError
from sklearn.datasets import load_digits

from ml.declaration.families import Family, ImageFamily, TorchFamily
from ml.declaration.models import Models
from ml.exported.onnx import export, measure_parity
from ml.models.catalogue import family
from ml.models.family import Training
from ml.models.networks.cnn import CNN, pixel_places
from ml.models.networks.family import FittedNetwork, NetworkFamily, loop_options
from ml.models.networks.modules import Convolutional, Dropout, build
from ml.models.networks.options import LoopOptions
from ml.models.progress import CheckpointFolder, Progress
from ml.search.tuning import tune
from ml.tasks.encoding import Encoder
from ml.tasks.metrics import score
from ml.tasks.task import Task

DROPPED = ["pixel_0_0", "pixel_4_0", "pixel_4_7"]  # never change in the digits, so feature selection drops them


@pytest.fixture(scope="module")
def digits() -> pd.DataFrame:
    images = load_digits(as_frame=True)
    order = np.random.default_rng(0).permutation(len(images.data))
    return images.data.drop(columns=DROPPED).assign(digit=images.target.astype(str)).iloc[order]


def training(frame: pd.DataFrame, learned: int = 1300) -> Training:
    train, valid = frame[:learned], frame[learned:]
    encoder, task = Encoder.fit(train, list(frame.columns[:-1]), []), Task.of("multiclass", train["digit"])
    y, y_valid = (task.labels(rows["digit"]) for rows in (train, valid))
    return Training(encoder.encode(train), y, encoder.encode(valid), y_valid, encoder, task)


def cnn(data: Training, seed: int = 0, **params: Any) -> FittedNetwork:
    chosen = family("cnn")
    assert isinstance(chosen, CNN)
    return chosen.fit(data, {**chosen.defaults(), "filters": 8, **params}, seed=seed)


@pytest.mark.slow
def test_digits_are_read_the_same_again_and_in_onnx(digits: pd.DataFrame) -> None:
    data = training(digits)

    first, second = (cnn(data, epochs=12, patience=12) for _ in range(2))

    answers = first.predict(data.X_valid)
    assert score("accuracy", data.y_valid, answers) > 0.95
    assert np.array_equal(answers, second.predict(data.X_valid))
    content = export(first, data.encoder, {}, data.task)
    measure_parity(first, data.encoder, content, digits[1300:1400]).raise_for_drift()


@pytest.mark.parametrize(
    ("names", "height", "expected"),
    [
        (["a", "b", "c", "d"], None, (2, 2, 1, (0, 1, 2, 3))),
        (["p3", "p0", "p1", "p2"], None, (2, 2, 1, (1, 2, 3, 0))),
        (["p1", "p2", "p3", "p4"], None, (2, 2, 1, (0, 1, 2, 3))),
        (["p1", "p2", "p3"], None, (2, 2, 1, (3, 0, 1, 2))),
        ([f"p{i}" for i in range(6)], 2, (2, 3, 1, tuple(range(6)))),
        (["p_0_1", "p_1_0"], None, (2, 2, 1, (2, 0, 1, 2))),
        (["p_0_0_0", "p_0_0_1", "p_1_0_1"], None, (2, 1, 2, (0, 1, 3, 2))),
    ],
)
def test_a_pixel_lies_where_its_name_says(names: list[str], height: int | None, expected: object) -> None:
    assert pixel_places(names, height) == expected


@pytest.mark.parametrize(
    ("names", "height", "reason"),
    [
        (["a", "b", "c"], None, "3 pixels do not fill a square image"),
        (["a", "b", "c"], 2, "3 pixels do not fill an image of 2 rows"),
        (["a1", "b1"], None, "no places, each another one"),
        (["p_1", "p_1_2"], None, "no places, each another one"),
        (["p_0_0", "p_90_90"], None, "would fill few places of 91 x 91 x 1"),
    ],
)
def test_columns_that_make_no_image_are_refused(names: list[str], height: int | None, reason: str) -> None:
    with pytest.raises(ValueError, match=rf"{reason}\. Name them …_<row>_<column>, or state a height"):
        pixel_places(names, height)


def test_a_pixel_reaches_its_place_and_a_dropped_one_is_the_mean(digits: pd.DataFrame) -> None:
    data = training(digits)
    chosen = CNN()
    network = build(chosen.shape(data, chosen.defaults()))

    (images,) = network.prepare(torch.from_numpy(data.X[:5]))

    assert images.shape == (5, 1, 8, 8)
    assert (images[:, 0, 4, 7] == 0).all()
    assert images[:, 0, 2, 3].tolist() == np.clip(digits["pixel_2_3"][:5], -5, 5).tolist()


def test_categories_are_no_pixels() -> None:
    frame = pd.DataFrame({"p_0_0": [0.0, 1.0], "c": ["a", "b"]})
    encoder, y = Encoder.fit(frame, ["p_0_0"], ["c"]), np.array([0, 1], np.int8)
    X = encoder.encode(frame)

    with pytest.raises(ValueError, match=r"takes pixels, which are numbers. Got the columns \['c'\]"):
        cnn(Training(X, y, X, y, encoder))


@pytest.fixture(scope="module")
def start(digits: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> tuple[FittedNetwork, dict[str, str]]:
    """A network trained on even digits, and the parameters that start from it."""
    model = cnn(training(digits[digits["digit"].isin([*"02468"])], 700), epochs=2)
    path = tmp_path_factory.mktemp("weights") / "even.pt"
    model.save_weights(path)
    return model, {"checkpoint": str(path), "checkpoint_sha256": sha256(path.read_bytes()).hexdigest()}


def backbone(model: FittedNetwork) -> np.ndarray:
    return np.concatenate([value.ravel() for name, value in sorted(model.weights.items()) if name.startswith("st")])


def test_a_frozen_backbone_keeps_the_weights_of_the_file_and_only_the_last_layer_is_new(
    digits: pd.DataFrame, start: tuple[FittedNetwork, dict[str, str]]
) -> None:
    pretrained, params = start

    frozen = cnn(training(digits), seed=5, epochs=2, freeze=True, **params)

    assert np.array_equal(backbone(frozen), backbone(pretrained))
    assert not np.array_equal(backbone(cnn(training(digits), seed=5, epochs=2, **params)), backbone(pretrained))
    assert not np.array_equal(backbone(cnn(training(digits), seed=5, epochs=2, freeze=True)), backbone(pretrained))
    assert frozen.weights["head.4.weight"].shape[0] == 10


def test_a_start_helps(digits: pd.DataFrame, start: tuple[FittedNetwork, dict[str, str]]) -> None:
    data = training(digits)

    scores = [
        score("log_loss", data.y_valid, cnn(data, epochs=3, learning_rate=1e-3, **params).predict(data.X_valid))
        for params in (start[1], {})
    ]

    assert scores[0] < scores[1]


def test_a_file_that_is_another_or_does_not_fit_is_refused(
    digits: pd.DataFrame, start: tuple[FittedNetwork, dict[str, str]]
) -> None:
    _, params = start
    declared = params["checkpoint_sha256"]

    with pytest.raises(ValueError, match=rf"has the SHA-256 {declared}. Declared: 00. Use the right file"):
        cnn(training(digits), **{**params, "checkpoint_sha256": "00"})
    with pytest.raises(ValueError, match=r"does not fit: missing or of another shape are \['head.0.bias',"):
        cnn(training(digits), **{**params, "filters": 16})


def test_four_stages_cannot_unfreeze(digits: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="names 4 epochs or more: 3 stages are frozen"):
        cnn(training(digits), freeze=True, unfreeze=(1, 2, 3, 4))


def test_dropout_keeps_the_mean_and_drops_its_share() -> None:
    torch.manual_seed(0)
    layer = Dropout(0.25)
    x = torch.ones(1000, 77, requires_grad=True)

    y = layer(x)
    y.sum().backward()

    assert float((y == 0).float().mean()) == pytest.approx(0.25, abs=0.01)
    assert float(y.detach().mean()) == pytest.approx(1, abs=0.01)
    assert x.grad is not None
    assert torch.equal(x.grad, y.detach())
    assert torch.equal(layer.eval()(x), x)


STATED: dict[str, Any] = {
    "epochs": 3, "batch": 64, "accumulate": 2, "patience": 2, "warm_up": 0.2, "clip_norm": 0.5,
    "precision": "bf16-mixed", "compile": True, "processes": 2,
}  # fmt: skip


def test_every_option_of_a_declaration_reaches_the_loop(digits: pd.DataFrame) -> None:
    assert set(STATED) == set(TorchFamily.model_fields) - set(Family.model_fields)
    image = ImageFamily(**STATED, height=8, freeze=True, unfreeze=(1, 2), checkpoint={"path": "a", "sha256": "0" * 64})
    assert set(ImageFamily.model_fields) == {*TorchFamily.model_fields, "height", "freeze", "unfreeze", "checkpoint"}

    assert TorchFamily().fixed == ImageFamily().fixed == Family().fixed == {}
    assert TorchFamily(**STATED).fixed == STATED
    others = {"height": 8, "checkpoint": "a", "checkpoint_sha256": "0" * 64}
    assert image.fixed == {**STATED, **others, "freeze": True, "unfreeze": (1, 2)}
    options = loop_options(training(digits), {**CNN().defaults(), **image.fixed}, seed=4, device="cpu", threads=1)
    expected = LoopOptions(**STATED, freeze=True, unfreeze=(1, 2), learning_rate=5e-3, weight_decay=1e-2, seed=4)
    assert options == expected


@pytest.mark.parametrize(
    ("family_name", "stated", "reason"),
    [
        ("mlp", {"processes": 2, "gpu": "preferred"}, "several processes share the work on a CPU only; set gpu: never"),
        ("mlp", {"precision": "16-mixed"}, "needs a GPU, but with gpu: never this may run on a CPU; set gpu: required"),
        ("cnn", {"precision": "16-mixed", "gpu": "preferred"}, "with gpu: preferred this may run on a CPU"),
        ("mlp", {"freeze": True}, "unknown key 'freeze'"),
        ("cnn", {"unfreeze": [1]}, "nothing is frozen; set freeze: true"),
        ("cnn", {"unfreeze": [1, 2, 3, 4], "freeze": True}, "at most 3 items"),
        ("cnn", {"checkpoint": {"path": "a", "sha256": "abc"}}, "should match pattern"),
    ],
)
def test_a_declaration_that_makes_no_sense_is_refused(family_name: str, stated: Any, reason: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(reason)):
        Models.model_validate({family_name: stated})


def test_tuning_holds_what_is_fixed_reports_the_refit_and_leaves_no_checkpoint(
    digits: pd.DataFrame, tmp_path: Path
) -> None:
    reports: list[Progress] = []
    fixed = {"epochs": 1, "batch": 13}

    tuned = tune(
        "mlp",
        training(digits),
        trials=2,
        seed=0,
        metric="accuracy",
        rows=200,
        fixed=fixed,
        checkpoints=CheckpointFolder(tmp_path, 0),
        report=reports.append,
    )

    assert all(fixed.items() <= trial.params.items() for trial in tuned.trials)
    assert [progress.step for progress in reports] == [50, 100]
    assert set(reports[0].curves()) == {"training loss", "gradient norm", "learning rate", "rows per second"}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mlp", "resnet"])
def test_numbers_of_any_size_are_learned(name: str) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 2)).astype(np.float32)
    y = 1e6 + 1e4 * (X[:, 0] - X[:, 1]).astype(np.float64)
    encoder = Encoder(("a", "b"), {})
    data = Training(X[:400], y[:400], X[400:], y[400:], encoder, Task("regression"))
    chosen = family(name)
    assert isinstance(chosen, NetworkFamily)

    model = chosen.fit(data, {**chosen.defaults(), "dropout": 0.0}, seed=0)

    assert score("r2", data.y_valid, model.predict(data.X_valid)) > 0.97
    shifted = replace(data, y=data.y / 1e8, y_valid=data.y_valid / 1e8)
    again = chosen.fit(shifted, {**chosen.defaults(), "dropout": 0.0}, seed=0)
    assert again.predict(data.X_valid) * 1e8 == pytest.approx(model.predict(data.X_valid), rel=1e-3)


def test_an_image_network_halves_the_image_once() -> None:
    network = build(CNN().shape(_any_images(), CNN().defaults()))
    assert isinstance(network, Convolutional)

    (images,) = network.prepare(torch.zeros(2, 16))

    assert network.stage1(network.stem(images)).shape[2:] == (4, 4)
    assert network.stage2(network.stage1(network.stem(images))).shape[2:] == (2, 2)


def _any_images() -> Training:
    encoder, y = Encoder(tuple(f"p{i}" for i in range(16)), {}), np.array([0, 1], np.int8)
    X = np.zeros((2, 16), np.float32)
    return Training(X, y, X, y, encoder)
