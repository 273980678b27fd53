"""A Dagster run of one asset that wants the only GPU: says when it has it, and holds it until it is told to let go."""

import json
import sys

import dagster as dg

from assets.framework.asset import asset
from assets.framework.case import Case
from assets.framework.step import Step
from dagster_project.components import UseCase
from dagster_project.definitions import resources
from ml.declaration.reads import Reads
from resources.gpu.pool import GpuPool, GpuWish


def main(declared: str) -> None:
    def trained(step: Step) -> bytes:
        with step.device() as device:
            print(f"has {device}", flush=True)
            sys.stdin.readline()
        return device.encode()

    trained.__module__ = "assets.stages.model"  # whose code counts
    case = Case("small", UseCase.model_validate(json.loads(declared)))
    trained_asset = asset(
        case, "trained", stage="models", kinds=set(), reads=Reads(), always=True, gpu=GpuWish("required")
    )(trained)
    with dg.DagsterInstance.get() as instance:
        dg.materialize([trained_asset], resources={**resources(), "gpus": GpuPool(devices=[0])}, instance=instance)
        print("done", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
