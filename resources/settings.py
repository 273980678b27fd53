"""The settings of a deployment: every environment variable that the project reads, with its type and default.

Not here are the two that a service reads, which imports nothing of this (service/), and variables that are
not ours to set, which are read where their library is used: thread numbers, which are coordinates of the environment
(ml/provenance/coordinates.py), CUDA_VISIBLE_DEVICES (resources/gpu/pool.py), what a training sets for torch, and the
one by which Dagster says that it validates definitions (dagster_project/location/loading.py).
"""

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError


class SettingsError(ValueError):
    """An environment variable has a value that it cannot have."""


class Settings(BaseModel):
    """The places of state, the addresses of what is reached, and limits.

    A description says what the variable means, and after "; without it, " what holds where it has no default.
    """

    model_config = ConfigDict(frozen=True)

    home: Path = Field(Path(".sextant"), alias="SEXTANT_HOME", description="the folder of all state")
    storage_url: str = Field(
        "",
        alias="SEXTANT_STORAGE_URL",
        description="where snapshots and results lie: any fsspec URL, such as `s3://bucket/sextant`; without it, "
        "`$SEXTANT_HOME/storage`",
    )
    tracking_uri: str = Field(
        "",
        alias="MLFLOW_TRACKING_URI",
        description="an MLflow server; without it, SQLite in `$SEXTANT_HOME/mlflow`",
    )
    studies_url: str = Field(
        "",
        alias="SEXTANT_STUDIES_URL",
        description="Optuna's studies: `postgresql+psycopg2://…`; a database that exists. Promotions are then locked "
        "there, across machines; without it, SQLite in `$SEXTANT_HOME/studies`",
    )
    dagster_ui: str = Field(
        "http://127.0.0.1:3000",
        alias="SEXTANT_DAGSTER_UI",
        description="the address of the Dagster UI, which links in MLflow lead to",
    )
    mlflow_ui: str = Field(
        "http://127.0.0.1:5000",
        alias="SEXTANT_MLFLOW_UI",
        description="the address of the MLflow UI, which links in Dagster lead to",
    )
    gpu_wait_s: float | None = Field(
        None,
        alias="SEXTANT_GPU_WAIT_S",
        description="how many seconds a step waits for a GPU before it fails; without it, for ever",
    )
    # Read by ml/base/sql.py, which lies below this module.
    memory_limit: str | None = Field(
        None,
        alias="SEXTANT_MEMORY_LIMIT",
        description="the memory that DuckDB takes before it spills to disk, such as `4GB`; without it, 80% of the "
        "machine's, and `4GB` for synthesized features",
    )
    commit: str = Field(
        "",
        alias="SEXTANT_COMMIT",
        description="the commit of the source, with `-dirty` after it if it was, where there is no git; without it, "
        "unknown",
    )
    dagster_home: Path | None = Field(
        None,
        alias="DAGSTER_HOME",
        description="the folder of Dagster's settings; without it, `$SEXTANT_HOME/dagster`",
    )


def settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Return the settings that the environment has at this moment; an empty variable counts as one that is not set.

    Raises SettingsError with every variable whose value cannot be read.
    """
    variables = os.environ if environment is None else environment
    names = [str(field.alias) for field in Settings.model_fields.values()]
    try:
        return Settings.model_validate({name: variables[name] for name in names if variables.get(name)})
    except ValidationError as error:
        mistakes = sorted(f"{mistake['loc'][0]}={mistake['input']!r}: {mistake['msg']}" for mistake in error.errors())
        raise SettingsError("; ".join(mistakes) + "; correct the variable, or unset it") from error
