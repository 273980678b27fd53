"""Training on a real GPU; how GPUs are leased is tested without one."""

import numpy as np
import pandas as pd
import pytest

from ml.base.gpus import present, torch_without_cuda
from ml.exported.onnx import export, measure_parity
from ml.models.catalogue import family
from ml.models.family import Training
from ml.tasks.encoding import Encoder
from ml.tasks.metrics import score


@pytest.fixture(scope="module")
def data() -> Training:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=4000), "b": rng.normal(size=4000), "c": rng.choice([*"xyz"], 4000)})
    y = (frame["a"] + (frame["c"] == "x") + rng.normal(0, 0.5, 4000) > 0.5).to_numpy("int8")
    encoder = Encoder.fit(frame[:3000], ["a", "b"], ["c"])
    return Training(encoder.encode(frame[:3000]), y[:3000], encoder.encode(frame[3000:]), y[3000:], encoder)


def test_a_build_of_torch_without_cuda_is_known_without_importing_it() -> None:
    import torch

    assert (torch_without_cuda() is None) == (torch.version.cuda is not None)
    assert torch.__version__ in (torch_without_cuda() or torch.__version__)


@pytest.mark.gpu
def test_a_network_trained_on_a_gpu_is_the_cpu_s_within_rounding_and_its_use_is_measured(data: Training, home) -> None:  # type: ignore[no-untyped-def]
    from resources.gpu.pool import GpuPool, GpuWish
    from resources.gpu.usage import measure

    mlp = family("mlp")
    exact = {**mlp.defaults(), "dropout": 0.0}  # what it drops is drawn by other generators on a GPU
    with GpuPool().lease(GpuWish("required")) as lease, measure(lease.gpus[0]) as usage:
        on_gpu = mlp.fit(data, exact, seed=1, device=lease.device).predict(data.X_valid)
    on_cpu = mlp.fit(data, exact, seed=1).predict(data.X_valid)

    scores = [score("roc_auc", data.y_valid, p) for p in (on_gpu, on_cpu)]
    assert scores[0] == pytest.approx(scores[1], abs=0.005)
    assert np.abs(on_gpu - on_cpu).mean() < 0.01
    assert lease.device == "cuda:0"
    assert lease.gpus[0] in present()
    assert usage.torch_memory is not None
    assert usage.torch_memory > 0
    assert usage.total_memory is not None
    assert usage.total_memory > usage.torch_memory
    assert usage.metadata()["GPU"].startswith("GPU ")


@pytest.mark.gpu
def test_on_a_gpu_the_onnx_model_answers_as_the_native_one(data: Training, home) -> None:  # type: ignore[no-untyped-def]
    from resources.gpu.pool import GpuPool, GpuWish

    model = family("mlp").fit(data, family("mlp").defaults(), seed=1)
    rows = pd.DataFrame({"a": [0.1, None, 2.0], "b": [1.0, 2.0, None], "c": ["x", "w", None]})
    with GpuPool().lease(GpuWish("required")) as lease:
        parity = measure_parity(model, data.encoder, export(model, data.encoder, {}), rows, device=lease.device)

    parity.raise_for_drift()
    assert "CUDAExecutionProvider" in parity.providers
