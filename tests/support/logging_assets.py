"""Assets of a user's own in steps of their own that are there at the same time, and end as their names say."""

import os
import signal
import sys
import time
from pathlib import Path

import dagster as dg

from dagster_project.definitions import resources
from resources.tracking.resource import Mlflow

NAMES = ("one", "other", "failing", "terminated", "killed")
LONGEST = 120.0  # seconds


def meet(name: str) -> None:
    """Wait until all steps have come to this place."""
    folder = Path(os.environ["MEETING"])
    (folder / name).touch()
    end = time.monotonic() + LONGEST
    while len(list(folder.iterdir())) < len(NAMES):
        assert time.monotonic() < end, "the other steps have not come"
        time.sleep(0.05)


def logging_asset(name: str) -> dg.AssetsDefinition:
    @dg.asset(key=["case", name])
    def logging(context: dg.AssetExecutionContext, mlflow: Mlflow) -> None:
        imported = "dagster_mlflow" in sys.modules
        with mlflow.run(context) as run:
            meet(name)
            run.log_param("name", name)
            run.set_tag("imported before", imported)
            match name:
                case "failing":
                    raise ValueError("on purpose")
                case "terminated":
                    os.kill(os.getpid(), signal.SIGTERM)
                    time.sleep(LONGEST)
                case "killed":
                    os.kill(os.getpid(), signal.SIGKILL)
            run.log_params({f"p{number}": number for number in range(250)})

    return logging


def job() -> dg.JobDefinition:
    executor = dg.multiprocess_executor.configured(
        {"max_concurrent": len(NAMES), "start_method": {"forkserver": {"preload_modules": ["mlflow", __name__]}}}
    )
    assets = [logging_asset(name) for name in NAMES]
    together = dg.define_asset_job("together", assets, executor_def=executor)
    return dg.Definitions(assets, jobs=[together], resources=resources()).resolve_job_def("together")


if __name__ == "__main__":
    from tests.support import logging_assets  # by the name that the steps import it by

    with dg.DagsterInstance.get() as instance:
        dg.execute_job(dg.reconstructable(logging_assets.job), instance=instance)
