"""A run of the use case `dated.Dated` to which something happens at a named point of a write.

The points are put into this process from outside: the project has no branches for its tests.
"""

import importlib
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tests.support.dated import Dated


@dataclass(frozen=True)
class Point:
    """A call of `target`, a function, of which some argument's text contains `about`: before it, or after it."""

    target: str
    about: str = ""
    after: bool = False


RENAME = "os:replace"
VERSIONS, STORE = "resources.tracking.versions:MlflowVersions", "optuna.storages:RDBStorage"
BENTO, CLIENT = "resources.bentos:BentoStore", "mlflow:MlflowClient"
EVENTS = "dagster._core.storage.event_log.sqlite.sqlite_event_log:SqliteEventLogStorage"
POINTS = {
    "storage: model written, not in place": Point(RENAME, "/storage/small/onnx_model/"),
    "storage: model in place, unknown": Point(RENAME, "/storage/small/onnx_model/", after=True),
    "storage: table written, not in place": Point(RENAME, "/storage/small/features/development/"),
    "ledger: config not in place": Point(RENAME, "/coordinates/config/"),
    "ledger: result stored, not on record": Point("resources.ledger:Ledger.keep", "small/evaluation"),
    "ledger: on record, not the latest": Point("resources.ledger:Ledger.materialized", "small/evaluation"),
    "ledger: the latest, not shown": Point("resources.ledger:Ledger.show", "small/evaluation"),
    "study: made, without a trial": Point(f"{STORE}.create_new_study", after=True),
    "study: trial recorded": Point(f"{STORE}._create_new_trial", after=True),
    "study: trial fitted, not told": Point(f"{STORE}.set_trial_state_values"),
    "study: trial told": Point(f"{STORE}.set_trial_state_values", after=True),
    "registry: nothing registered": Point(f"{VERSIONS}.register"),
    "registry: files uploaded, no version": Point(f"{CLIENT}.create_model_version"),
    "registry: registered": Point(f"{VERSIONS}.register", after=True),
    "registry: move announced": Point(f"{VERSIONS}.set_note", after=True),
    "registry: alias moved, not finished": Point(f"{VERSIONS}.set_alias", "champion", after=True),
    "registry: moved, not materialized": Point("resources.tracking.registry:Registry.move", after=True),
    "log: MLflow's run opened": Point(f"{CLIENT}.create_run", "models/logistic", after=True),
    "log: trial's run opened": Point(f"{CLIENT}.create_run", "trial 0", after=True),
    "log: figure being logged": Point(f"{CLIENT}.log_artifact", "ROC curve"),
    "log: MLflow's run not ended": Point(f"{CLIENT}.set_terminated"),
    "log: run made, not begun": Point(f"{EVENTS}.store_event", "ASSET_MATERIALIZATION_PLANNED"),
    "log: stored, not materialized": Point(f"{EVENTS}.store_event", "value='ASSET_MATERIALIZATION'"),
    "log: materialized, step not ended": Point(f"{EVENTS}.store_event", "value='STEP_SUCCESS'"),
}  # fmt: skip
OF_BENTO = {
    "Bento: not built": Point(f"{BENTO}._build"),
    "Bento: built, not started": Point(f"{BENTO}._build", after=True),
    "Bento: started, not asked": Point("resources.bentos:_replay"),
    "Bento: asked, not in place": Point(RENAME, "/bentoml/bentos/small/1-"),
    "Bento: in place, not the first": Point(f"{BENTO}.put_first"),
    "Bento: the first, not beside its version": Point(RENAME, "/bundle.zip"),
}
Fault = Literal["kill", "fill"]


def attempt(home: Path, rows: Path, point: Point, fault: Fault, asset: str) -> None:
    """Run the use case until an asset, in a process of its own, with a fault at a point."""
    os.environ |= {"SEXTANT_HOME": str(home), "DAGSTER_HOME": str(home / "dagster")}
    _arm(point, {"kill": _kill, "fill": lambda: _fill(home)}[fault])
    Dated(home, rows).attempt(asset, upstream=True)


def _arm(point: Point, happens: Callable[[], None]) -> None:
    module, _, path = point.target.partition(":")
    *owner, name = path.split(".")
    holder: Any = importlib.import_module(module)
    for part in owner:
        holder = getattr(holder, part)
    function = getattr(holder, name)

    def armed(*arguments: Any, **named: Any) -> Any:
        here = point.about in " ".join(map(str, [*arguments, *named.values()]))
        if here and not point.after:
            happens()
        answer = function(*arguments, **named)
        if here and point.after:
            happens()
        return answer

    setattr(holder, name, armed)


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _fill(home: Path) -> None:
    """Leave no byte of the disk that a home is on."""
    with open(home / "filler", "ab", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                continue
