"""A Dagster run as Sextant's own: steps in processes of a fork server; one holds the only GPU until it is killed."""

import json
import os
from pathlib import Path
from threading import Event

import dagster as dg

from assets.framework.asset import asset
from assets.framework.case import Case
from assets.framework.step import Step
from dagster_project.components import UseCase
from dagster_project.definitions import resources
from ml.declaration.reads import Reads
from resources.gpu.pool import GpuPool, GpuWish


def orphan() -> dg.JobDefinition:
    """Return the job, in whichever process."""

    def trained(step: Step) -> bytes:
        with step.device():
            Path(os.environ["STEP_PID"]).write_text(str(os.getpid()))
            Event().wait()
        return b""

    trained.__module__ = "assets.stages.model"  # whose code counts
    case = Case("small", UseCase.model_validate(json.loads(os.environ["DECLARED"])))
    step = asset(case, "trained", stage="models", kinds=set(), reads=Reads(), always=True, gpu=GpuWish("required"))(
        trained
    )
    executor = dg.multiprocess_executor.configured({"start_method": {"forkserver": {}}})
    job = dg.define_asset_job("orphan", [step], executor_def=executor)
    using = {**resources(), "gpus": GpuPool(devices=[0])}
    return dg.Definitions([step], jobs=[job], resources=using).resolve_job_def("orphan")


if __name__ == "__main__":
    from tests.journeys import orphan_run  # by the name that steps import it by

    with dg.DagsterInstance.get() as instance:
        dg.execute_job(dg.reconstructable(orphan_run.orphan), instance=instance)
