"""The resource `mlflow`, for assets of a user's own."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import dagster as dg

from resources.tracking.fluent import attach
from resources.tracking.runs import Tracking
from resources.tracking.tracker import asset_run

if TYPE_CHECKING:
    from dagster_mlflow.resources import MlFlow


class Mlflow(dg.ConfigurableResource):  # type: ignore[type-arg]
    """MLflow for an asset of a user's own: `with mlflow.run(context) as run:` opens the one run of its step."""

    tracking: dg.ResourceDependency[Tracking]

    @contextmanager
    def run(self, context: dg.AssetExecutionContext) -> Iterator["MlFlow"]:
        """Yield dagster-mlflow's object on a new MLflow run, in the experiment that the asset's key begins with.

        Whatever the block logs by `mlflow.log_*` and autologging is in that run. It ends FINISHED, or FAILED if the
        block raises.
        """
        dagster_run = context.run.run_id
        with (
            asset_run(self.tracking, context.asset_key, dagster_run) as run,
            attach(self.tracking.tracking_uri(), run.id, dagster_run) as attached,
        ):
            yield attached
