"""The candidate in ONNX."""

import json

import dagster as dg
import pandas as pd

from assets import reads
from assets.framework.asset import asset
from assets.framework.case import Case
from assets.framework.step import Step
from ml.base.hashing import canonical_json
from ml.declaration.use_case import UseCaseSpec
from ml.exported.explainer import KEY as EXPLAINER
from ml.exported.explainer import ROWS, explainer
from ml.exported.model import COPIED
from ml.exported.onnx import PARITY, annotated, export, measure_parity, places, predict, session
from ml.exported.reference import KEY as REFERENCE
from ml.exported.reference import Reference, make_reference
from ml.exported.usual import KEY as USUAL
from ml.exported.usual import usual_columns
from ml.features.definitions import FeatureDefinitions
from ml.search.leaderboard import Leaderboard
from ml.search.tuning import TunedModel
from ml.tasks.counting import counting, counting_columns
from ml.tasks.metrics import own_modules
from ml.tasks.objectives import Objective
from resources.gpu.pool import GpuWish
from resources.storage import Columns

LEARNED_ROWS = 20_000


def onnx_model(case: Case) -> dg.AssetsDefinition:
    """Return the asset `onnx_model`."""
    models = case.spec.models
    ins = {name: f"models/{name}" for name in models.names} | {
        "leaderboard": "leaderboard",
        "development": "features/development",
        "feature_definitions": "feature_definitions",
    }

    @asset(
        case,
        "onnx_model",
        stage="models",
        kinds={"onnx"},
        reads=reads.ONNX_MODEL,
        ins=ins,
        code=[*models.modules, *own_modules([case.spec.metric])],
        gpu=_parity_gpu(case),
    )
    def onnx_model(
        step: Step,
        leaderboard: Leaderboard,
        development: Columns,
        feature_definitions: FeatureDefinitions,
        **models: TunedModel,
    ) -> bytes:
        """The candidate as one ONNX file, with measured parity against the native model."""
        candidate = models[leaderboard.candidate]
        used = candidate.encoder.columns
        counted = counting_columns(step.case.spec.examples)
        rows = development.read({"split", *candidate.task.columns, *counted, *used})
        learned = rows[rows["split"].isin(["train", "validation"])]
        content = export(
            candidate.model,
            candidate.encoder,
            {
                "sextant.use_case": step.case.name,
                "sextant.family": candidate.family,
                "sextant.coordinates": canonical_json(step.coordinates.summary()),
                "sextant.encoder": json.dumps(candidate.encoder.to_dict()),
                "sextant.definitions": feature_definitions.only(used).model_dump_json(),
                "sextant.spec": canonical_json(COPIED.decide(step.declared)),
                REFERENCE: reference(step.case.spec, candidate, rows).model_dump_json(),
                USUAL: canonical_json(usual_columns(learned, feature_definitions.only(used).features)),
            },
            candidate.task,
        )
        with step.device() as device:
            parity = measure_parity(candidate.model, candidate.encoder, content, parity_rows(rows), device=device)
        parity.raise_for_drift()
        step.show(providers=list(parity.providers), parity_cases=dict(parity.cases), family=candidate.family)
        step.metrics({"largest difference": parity.largest_difference})
        background = background_rows(rows, step.case.spec.seed)
        answers = predict(session(content), candidate.encoder, background)
        explained = explainer(candidate.model, candidate.task, candidate.encoder.encode(background), answers)
        return annotated(content, {PARITY: repr(parity.largest_difference), EXPLAINER: explained})

    return onnx_model


def reference(spec: UseCaseSpec, candidate: TunedModel, rows: pd.DataFrame) -> Reference:
    """Return what the rows of both splits tell of the candidate, by its answers from before it learned from both."""
    parts = [rows[rows["split"] == name] for name in ("train", "validation")]
    y_train, y_valid = (candidate.task.labels_of(part) for part in parts)
    learned, watched = (counting(spec.examples, part) for part in parts)
    scores = candidate.refit_scores or (candidate.score,)
    return make_reference(
        candidate.task,
        spec.evaluation,
        spec.metric,
        y_train,
        y_valid,
        candidate.valid_predictions,
        scores,
        counting=(learned, watched),
        objective=Objective.named(spec.objective),
    )


def parity_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """Return all validation rows and some of those learned from, whose values are those that trees split at."""
    learned = rows[rows["split"] == "train"]
    return pd.concat([rows[rows["split"] == "validation"], learned.iloc[places(learned, LEARNED_ROWS)]])


def background_rows(rows: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Return rows that were learned from, in any order, to stand in for what is unknown of a feature."""
    return rows[rows["split"] == "train"].sample(frac=1.0, random_state=seed).head(ROWS)


def _parity_gpu(case: Case) -> GpuWish:
    """Return the wish for a GPU, if there is one, where models are trained on one: parity is measured there too."""
    wishing = [declared for declared in case.spec.models.families.values() if declared.gpu != "never"]
    if not wishing:
        return GpuWish("never")
    return GpuWish("preferred", min(declared.gpu_share for declared in wishing))
