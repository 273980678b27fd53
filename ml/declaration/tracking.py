"""The declaration of tracking."""

from pydantic import Field

from ml.declaration.part import Part


class TrackingPlan(Part):
    """The choice of what is logged to MLflow beside what always is; it decides no result."""

    fluent: bool = Field(
        False,
        description="Whether `mlflow.log_metric` and the like, and autologging, in code of your own log to the run of "
        "the asset that calls it; in a trial of a search, to the run of that trial.",
    )
