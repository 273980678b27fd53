"""Leases of made-up devices, by real processes."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from ml.base.gpus import Gpu, allowed
from resources.gpu.pool import GpuBusyError, GpuPool, GpuWish, NoGpuError

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
PEAK = "peak GPU memory of the step's processes (bytes)"
REQUIRED, PREFERRED, NEVER = GpuWish("required"), GpuWish("preferred"), GpuWish("never")


class Holder:
    """holder.py in a process of its own."""

    def __init__(self, **arguments: Any) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "holder.py"), json.dumps(arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            text=True,
        )

    def says(self) -> str:
        """The next line, once it has said it; empty at the end of it and its children."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def hears(self, *words: str) -> bool:
        """Whether a line with all these words comes; it waits for it."""
        return any(all(word in line for word in words) for line in iter(self.says, ""))

    def let_go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()


@pytest.fixture
def hold(home: Path) -> Iterator[Callable[..., Holder]]:
    """Starts holders, and ends those that are left."""
    made: list[Holder] = []

    def start(**arguments: Any) -> Holder:
        made.append(Holder(**arguments))
        return made[-1]

    yield start
    for holder in made:
        holder.process.kill()
        holder.process.communicate()


def free(*devices: int) -> bool:
    """Whether one of the devices can be leased whole without waiting."""
    try:
        with GpuPool(devices=list(devices), wait_s=0).lease(REQUIRED):
            return True
    except GpuBusyError:
        return False


def test_without_a_gpu_a_preference_gets_the_cpu_and_a_requirement_an_error(home: Path) -> None:
    pool = GpuPool(devices=[])

    with pool.lease(PREFERRED) as lease:
        assert (lease.device, lease.devices, lease.downgrade) == ("cpu", (), "there is no GPU")
    with pytest.raises(NoGpuError, match=r"gpu: required, but there is no GPU; .* set gpu: preferred"):
        pool.planned(REQUIRED)
    with pytest.raises(NoGpuError), pool.lease(REQUIRED):
        pass


def test_a_library_without_cuda_counts_as_no_gpu_and_is_named(home: Path) -> None:
    pool, lacks = GpuPool(devices=[0]), "torch 2 is built without CUDA"

    with pool.lease(GpuWish("preferred", obstacle=lacks)) as lease:
        assert (lease.device, lease.downgrade) == ("cpu", lacks)
    with pytest.raises(NoGpuError, match=lacks), pool.lease(GpuWish("required", obstacle=lacks)):
        pass


@pytest.mark.parametrize(
    ("devices", "wish", "planned"),
    [
        ([0], NEVER, None),
        ([0], REQUIRED, "cuda"),
        ([0, 1], PREFERRED, "cuda"),
        ([], PREFERRED, "cpu (gpu: preferred, there is no GPU)"),
        ([0], GpuWish("preferred", obstacle="torch lacks it"), "cpu (gpu: preferred, torch lacks it)"),
    ],
)
def test_what_a_step_will_run_on_is_known_before_it_runs(
    devices: list[int], wish: GpuWish, planned: str | None
) -> None:
    assert GpuPool(devices=devices).planned(wish) == planned


def test_two_leases_never_share_a_device_and_a_released_one_is_free(home: Path) -> None:
    pool = GpuPool(devices=[0, 1])

    with pool.lease(REQUIRED) as first, pool.lease(PREFERRED) as second, pool.lease(NEVER) as third:
        assert {first.devices, second.devices} == {(0,), (1,)}
        assert third.device == "cpu"
        assert not free(0, 1)
    with pool.lease(REQUIRED) as again:
        assert again.devices == (0,)


@pytest.mark.parametrize("before", [None, "3", ""])
def test_within_a_lease_cuda_may_see_that_device_alone(
    before: str | None, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if before is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", before)

    with GpuPool(devices=[5]).lease(REQUIRED) as lease:
        assert (os.environ["CUDA_VISIBLE_DEVICES"], lease.device) == ("5", "cuda:0")
    assert os.environ.get("CUDA_VISIBLE_DEVICES") == before


@pytest.mark.parametrize(
    ("visible", "devices"),
    [
        (None, [0, 1, 2]),
        ("", []),
        ("-1", []),
        ("2", [2]),
        ("2,0", [2, 0]),
        ("0,-1,2", [0]),
        ("7", []),
        ("GPU-bb", [1]),
        ("GPU-c, GPU-aaaa", [2, 0]),
        ("GPU-", []),  # three have such a name
        ("MIG-aaaa", []),
        ("1,1", [1]),
    ],
)
def test_only_what_cuda_may_see_is_leased(visible: str | None, devices: list[int]) -> None:
    gpus = [Gpu(0, "GPU-aaaa"), Gpu(1, "GPU-bbbb"), Gpu(2, "GPU-cccc")]

    assert [gpu.index for gpu in allowed(gpus, visible)] == devices


@pytest.mark.parametrize(("share", "fit"), [(1.0, 1), (0.5, 2), (0.34, 2), (0.1, 10), (0.07, 14)])
def test_as_many_shares_fit_into_a_device_as_make_at_most_one(share: float, fit: int, home: Path) -> None:
    pool, wish = GpuPool(devices=[0], wait_s=0), GpuWish("required", share)

    with ExitStack() as held:
        for _ in range(fit):
            held.enter_context(pool.lease(wish))
        with pytest.raises(GpuBusyError):
            held.enter_context(pool.lease(wish))

    assert free(0)


def test_shares_gather_on_the_fullest_device_so_that_whole_ones_stay_free(home: Path) -> None:
    pool, share = GpuPool(devices=[0, 1]), GpuWish("required", 0.3)

    with pool.lease(share) as first, pool.lease(share) as second, pool.lease(REQUIRED) as whole:
        assert (first.devices, second.devices, whole.devices) == ((0,), (0,), (1,))


@pytest.mark.slow
def test_a_crowd_of_processes_never_holds_more_than_there_is(home: Path, tmp_path: Path) -> None:
    log, crowd, times = tmp_path / "log", 6, 8
    command = [sys.executable, str(HERE / "crowd.py"), str(log)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    processes = [
        subprocess.Popen([*command, str(seed), str(times)], env=environment, stderr=subprocess.PIPE)
        for seed in range(crowd)
    ]
    errors = [process.communicate()[1].decode() for process in processes]

    assert [process.returncode for process in processes] == [0] * crowd, errors
    events, used, most = [line.split() for line in log.read_text().splitlines()], Counter[str](), set[Fraction]()
    for sign, device, share in events:
        used[device] += Fraction(share) if sign == "+" else -Fraction(share)
        most.add(used[device])
    assert len(events) == 2 * crowd * times
    assert max(most) == 1
    assert set(used.values()) == {0}
    assert not list((home / "gpu").glob("*.claim"))


def test_a_killed_holder_s_device_comes_free(hold: Callable[..., Holder]) -> None:
    holder = hold(devices=[0])
    assert holder.says() == "holds 0"
    waiting = hold(devices=[0])
    assert waiting.says().startswith(
        f"waiting for a GPU: process {holder.process.pid}, run a1b2, asset case/models/mlp holds 1 of made-up-0 since 2"
    )

    holder.process.send_signal(signal.SIGKILL)

    assert waiting.says() == "holds 0"
    waiting.let_go()
    assert waiting.says() == "let go"
    assert free(0)


def test_a_device_stays_taken_while_a_child_of_its_killed_holder_lives(hold: Callable[..., Holder]) -> None:
    holder = hold(devices=[0], fork=True)
    assert holder.says() == "holds 0"

    holder.process.send_signal(signal.SIGKILL)
    holder.process.wait()
    taken = not free(0)
    holder.let_go()
    assert holder.says() == ""  # the child has ended too

    assert taken
    assert free(0)


@pytest.mark.slow
def test_nobody_passes_a_whole_device_that_was_asked_for_before(hold: Callable[..., Holder]) -> None:
    first = hold(devices=[0], share=0.5)
    assert first.says() == "holds 0"
    whole = hold(devices=[0])
    assert whole.says().startswith(f"waiting for a GPU: process {first.process.pid}")
    small = hold(devices=[0], share=0.5)  # there is room for it
    assert f"process {whole.process.pid}, run a1b2, asset case/models/mlp waits for 1 of a GPU" in small.says()
    elsewhere = hold(devices=[1], share=0.5)
    assert elsewhere.says() == "holds 1"

    first.let_go()

    assert whole.says() == "holds 0"
    assert small.hears(f"process {whole.process.pid}, run a1b2, asset case/models/mlp holds 1")
    whole.let_go()
    assert small.says() == "holds 0"


def test_a_wait_has_a_limit_and_its_error_names_the_holder(hold: Callable[..., Holder]) -> None:
    holder = hold(devices=[0], share=0.5)
    assert holder.says() == "holds 0"

    with (
        pytest.raises(GpuBusyError, match=rf"0 s \(wait_s\): process {holder.process.pid}, run a1b2, .*holds 1/2 of"),
        GpuPool(devices=[0], wait_s=0).lease(GpuWish("required", 0.6)),
    ):
        pass


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory, need: Callable[[object, str], None]) -> Path:
    """A folder with a driver of two made-up GPUs, for LD_LIBRARY_PATH."""
    need(shutil.which("cc"), "gcc")
    folder = tmp_path_factory.mktemp("driver")
    for name in ("libcuda.so.1", "libnvidia-ml.so.1"):
        command = ["cc", "-shared", "-fPIC", f"-Wl,-soname,{name}", "-o", str(folder / name), str(HERE / "driver.c")]
        subprocess.run(command, check=True)
    return folder


def with_driver(driver: Path, code: str, **environment: str) -> Any:
    """What `code` prints, as JSON, in a process that finds this driver."""
    variables = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    variables |= {"LD_LIBRARY_PATH": str(driver), "PYTHONPATH": str(ROOT), **environment}
    start = (
        "import ctypes, json, os\n"
        "from resources.gpu.pool import CudaStartedError, GpuPool, GpuWish\n"
        "wish = GpuWish('required')\n"
    )
    done = subprocess.run([sys.executable, "-c", start + code], env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(("visible", "seen"), [({}, "GPU-aaaa-0000"), ({"CUDA_VISIBLE_DEVICES": "1"}, "GPU-bbbb-1111")])
def test_a_lease_names_the_gpu_by_its_uuid_whatever_was_visible_before(
    visible: dict[str, str], seen: str, driver: Path, home: Path
) -> None:
    code = "with GpuPool().lease(wish): print(json.dumps(os.environ['CUDA_VISIBLE_DEVICES']))"

    assert with_driver(driver, code, **visible) == seen


def test_gpus_that_are_hidden_are_said_to_be(driver: Path, home: Path) -> None:
    code = "print(json.dumps(GpuPool().planned(GpuWish('preferred'))))"

    planned = with_driver(driver, code, CUDA_VISIBLE_DEVICES="-1")

    assert planned == "cpu (gpu: preferred, CUDA_VISIBLE_DEVICES='-1' names none of the GPUs here)"


def test_a_lease_after_cuda_has_started_is_an_error_unless_it_is_of_the_same_gpu(driver: Path, home: Path) -> None:
    code = """
found = []
library = ctypes.CDLL("libcuda.so.1")  # loaded, not started
for devices, starts in ([0], True), ([0], False), ([1], False):
    try:
        with GpuPool(devices=devices).lease(wish) as lease:
            found.append(lease.devices)
            if starts: library.cuInit(0)
    except CudaStartedError as error:
        found.append(str(error))
print(json.dumps(found))
"""
    same, again, other = with_driver(driver, code)

    assert same == again == [0]
    assert "CUDA has started in this process before it was given GPU 1 (Made-up 9000)" in other


@pytest.mark.parametrize("utilization", [True, False])
def test_the_use_of_a_gpu_is_measured_and_what_it_does_not_tell_is_left_out(
    utilization: bool, driver: Path, home: Path
) -> None:
    code = """
from resources.gpu.usage import measure
with GpuPool(devices=[1]).lease(wish) as lease, measure(lease.gpus[0]) as usage: pass
print(json.dumps(usage.metadata()))
"""
    found = with_driver(driver, code, **({} if utilization else {"NO_UTILIZATION": "1"}))

    told = {"GPU": "GPU 1 (Made-up 9000)", "GPU memory (bytes)": 1000, PEAK: 123}
    rates = {"mean GPU utilization (%)": 40.0, "max GPU utilization (%)": 40}
    assert found == told | (rates if utilization else {})


def test_the_memory_of_workers_counts_and_that_of_strangers_does_not(driver: Path, home: Path) -> None:
    code = f"""
import subprocess
from resources.gpu.usage import measure
found = []
for started_here in (True, False):
    worker = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    os.environ["ALSO_RUNNING"] = str(worker.pid if started_here else os.getppid())
    with GpuPool(devices=[1]).lease(wish) as lease, measure(lease.gpus[0], period_s=60) as usage: pass
    worker.communicate()
    found.append(usage.metadata()[{PEAK!r}])
print(json.dumps(found))
"""

    assert with_driver(driver, code) == [123 + 77, 123]


def test_the_environment_names_the_models_of_the_gpus(driver: Path, home: Path) -> None:
    code = "from ml.provenance.coordinates import environment_coordinate\nprint(json.dumps(environment_coordinate()))"

    assert with_driver(driver, code)["accelerators"] == ["Made-up 9000", "Made-up 9000"]
