"""Leases of made-up devices."""

from pathlib import Path

import pytest

from resources.gpu import GpuPool, NoGpuError


def test_without_a_gpu_a_preference_gets_the_cpu_and_a_requirement_an_error(home: Path) -> None:
    pool = GpuPool(devices=[])

    with pool.lease("preferred") as device:
        assert device == "cpu"
    with pytest.raises(NoGpuError, match="gpu: preferred"), pool.lease("required"):
        pass


def test_two_leases_never_share_a_device_and_a_released_one_is_free(home: Path) -> None:
    pool = GpuPool(devices=[0, 1])

    with pool.lease("required") as first, pool.lease("preferred") as second, pool.lease("never") as third:
        assert {first, second} == {"cuda:0", "cuda:1"}
        assert third == "cpu"
    with pool.lease("required") as again:
        assert again == "cuda:0"


@pytest.mark.parametrize(("visible", "devices"), [("", []), ("-1", []), ("3", [0]), ("5,2", [0, 1]), ("0,-1,2", [0])])
def test_only_what_cuda_may_see_is_leased(visible: str, devices: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)

    assert GpuPool().available() == devices
