"""The native model that an exported one was made of."""

from typing import Any

from assets.framework.step import Step
from ml.provenance.coordinates import Loaded
from ml.search.leaderboard import Leaderboard
from ml.search.tuning import TunedModel
from resources.ledger import Ledger
from resources.storage import Stored


def native_model(step: Step) -> TunedModel:
    """Return the tuned model that the step's `onnx_model` was exported from, by its coordinates, and record the load.

    It may be another than what `models/<family>` shows by now. Raises LedgerError or StorageError if it is lost.
    """
    ledger = Ledger()
    inputs = ledger.get(step.loaded["onnx_model"].coordinates)["data"]
    leaderboard: Leaderboard = _load(step, ledger, inputs["leaderboard"]["coordinates"])
    origin = Loaded(**inputs[leaderboard.candidate])
    step.also_loaded("native", origin)
    model: TunedModel = _load(step, ledger, origin.coordinates)
    return model


def _load(step: Step, ledger: Ledger, coordinates: str) -> Any:
    return step.storage.load(Stored(**ledger.get(coordinates)["result"]))
