"""The code location `sextant`."""

import os
import warnings
from functools import cache
from pathlib import Path

import dagster as dg

from dagster_project.location.loading import load_use_cases
from resources.bentos import BentoStore
from resources.gpu.pool import GpuPool
from resources.home import keep_to_home
from resources.settings import settings
from resources.storage import StorageIOManager, storage
from resources.studies import studies
from resources.tracking.resource import Mlflow
from resources.tracking.runs import tracking

# Pinned before any step starts: results then do not depend on how busy the machine is.
PINNED = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "PYTHONHASHSEED": "0",
}
# Loading a component makes Dagster warn of its own beta classes, once for each use case and process.
warnings.filterwarnings("ignore", category=dg.BetaWarning)
CONFIGS = Path(__file__).resolve().parent.parent / "configs"
# What nearly every step imports, once for a run: a step is a fork of a process that has it.
PRELOAD = [
    "dagster_project.preloaded",
    "dagster._core.storage.sqlite_storage",
    "dagster._core.storage.local_compute_log_manager",
    "dagster._cli",
    "upath.implementations.local",
    "pandas",
    "pyarrow.parquet",
    "mlflow.store.tracking.sqlalchemy_store",
    "mlflow.store.model_registry.sqlalchemy_store",
    "sklearn.metrics",
    "tabulate",
]


def resources() -> dict[str, object]:
    """Return the resources of the assets, by the settings of the environment: a deployment changes nothing else."""
    results, tracker = storage(), tracking()
    return {
        "storage": results,
        "io_manager": StorageIOManager(storage=results),
        "tracking": tracker,
        "mlflow": Mlflow(tracking=tracker),
        "gpus": GpuPool(wait_s=settings().gpu_wait_s),
        "bentos": BentoStore(),
        "studies": studies(),
    }


@dg.definitions
@cache  # Dagster asks for them up to five times in the process of one run; another look at the files is a new process
def defs() -> dg.Definitions:
    """Load every use case of configs/, with the resources and the executor; once in a process."""
    for name, value in PINNED.items():
        os.environ.setdefault(name, value)
    keep_to_home()
    executor = dg.multiprocess_executor.configured(
        {"max_concurrent": 2, "start_method": {"forkserver": {"preload_modules": PRELOAD}}}
    )
    return dg.Definitions.merge(load_use_cases(CONFIGS), dg.Definitions(resources=resources(), executor=executor))
