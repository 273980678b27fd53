"""The champion, as an evaluation compares a candidate with it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import ArrowInvalid

from assets.framework.step import Step
from ml.evaluation.unseen import compare_unseen, unseen
from ml.exported.model import ExportedModel
from ml.provenance.coordinates import Loaded
from ml.tasks.counting import counting
from resources.storage import Stored
from resources.tracking.protocol import RegistryError
from resources.tracking.registry import MODEL_HASH
from resources.tracking.tracker import Tracker


def compared_champion(name: str, tracking: Tracker, inputs: Mapping[str, Stored]) -> list[str] | None:
    """Return version and hash of the champion that a candidate is compared with; None if there is no other."""
    champion = champion_now(name, tracking, inputs)
    if champion is None or champion[1] == inputs["onnx_model"].hash:
        return None
    with nothing_lost():
        tracking.onnx(name, champion[0])
    return champion


def champion_now(name: str, tracking: Tracker, inputs: Mapping[str, Stored]) -> list[str] | None:
    """Return version and hash of the champion; None if there is none."""
    with nothing_lost():
        champion = tracking.champion(name)
    return [champion.version, champion.tags.get(MODEL_HASH, "")] if champion else None


@contextmanager
def nothing_lost() -> Iterator[None]:
    """Raise dagster.Failure, with the way out, where the champion or its file turns out to be lost."""
    try:
        yield
    except RegistryError as error:
        raise dg.Failure(f"nothing was evaluated: {error}", allow_retries=False) from error


@dataclass(frozen=True)
class Comparison:
    """The champion: fields of the evaluation, its answers to all test rows, and which of these it has not seen.

    There are no answers where there is no champion, where it is the candidate, and where the two cannot be compared.
    """

    fields: dict[str, Any]
    scores: np.ndarray | None = None
    unseen: np.ndarray | None = None


def compare_with_champion(
    step: Step,
    tables: dict[str, pa.Table],
    test: pd.DataFrame,
    y: np.ndarray,
    candidate: np.ndarray,
    model: ExportedModel,
) -> Comparison:
    """Return the comparison on the same test rows; the champion sees the features that it was trained on."""
    spec = step.case.spec
    with nothing_lost():
        registered = step.tracking.champion(step.case.name)
        content = step.tracking.onnx(step.case.name, registered.version) if registered else b""
    if registered is None:
        return Comparison({})
    name = f"{step.case.name}:{registered.version}"
    champion = ExportedModel(content)
    if champion.hash == model.hash:
        return Comparison({})  # what the candidate is by now is added where it matters
    step.also_loaded("champion", Loaded(name, champion.hash, str(champion.coordinates["id"])))
    fields: dict[str, Any] = {"champion_version": str(registered.version), "champion_hash": champion.hash}
    if (champion.answers, champion.decided) == (model.answers, model.decided):
        return Comparison({**fields, "same_answers": True})  # the candidate is the champion: nothing to compare
    places = model.task.places_in(champion.task)
    if places is None:
        reason = f"it answers {champion.task}, the candidate {model.task}"
        return Comparison({**fields, "incomparable": reason})
    try:
        scores = champion.scores(champion.features(tables, test))
        scores = scores[:, places] if model.task.targets else scores
        fair = unseen(step.case.name, champion.spec, tables, test)
    except (ArrowInvalid, KeyError, ValueError) as error:
        reason = f"its features cannot be computed from today's tables: {error}"
        return Comparison({**fields, "incomparable": reason})
    of_rows = counting(spec.examples, test)
    fields |= compare_unseen(spec.metric, spec.gates.champion, spec.seed, y, candidate, scores, fair, of_rows)
    return Comparison(fields) if "incomparable" in fields else Comparison(fields, scores, fair)
