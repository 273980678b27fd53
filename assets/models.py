"""From the feature matrix to the candidate in ONNX."""

import json

import dagster as dg
import pandas as pd
import pyarrow as pa

from assets.search import searched
from assets.step import Case, Step, asset
from ml.base.gpus import torch_without_cuda
from ml.base.hashing import canonical_json
from ml.declaration.families import Family
from ml.declaration.use_case import UseCaseSpec
from ml.exported.onnx import PARITY, annotated, export, measure_parity
from ml.exported.reference import KEY as REFERENCE
from ml.exported.reference import Reference, make_reference
from ml.features.definitions import FeatureDefinitions
from ml.models.catalogue import family, require_packages
from ml.models.family import Training, require_device, require_task
from ml.search.feature_selection import SelectedFeatures
from ml.search.leaderboard import Leaderboard, rank
from ml.search.space import Space
from ml.search.tuning import Settling, TunedModel, able_to_settle
from ml.tasks.encoding import Encoder
from ml.tasks.metrics import Kind, Task
from resources.gpu.pool import GpuWish
from resources.storage import Columns

PARITY_ROWS = 5000
KINDS = {"lightgbm": "lightgbm", "xgboost": "xgboost", "catboost": "catboost"} | dict.fromkeys(
    ("mlp", "resnet", "cnn"), "pytorch"
)


def training(development: pd.DataFrame, definitions: FeatureDefinitions, kind: Kind = "binary") -> Training:
    """The encoded training and validation rows; the encoder has seen training rows only."""
    train, valid = (development[development["split"] == name] for name in ("train", "validation"))
    encoder = Encoder.fit(train, definitions.numeric, definitions.categorical)
    task = Task.of(kind, train["target"])
    y, y_valid = (task.labels(rows["target"]) for rows in (train, valid))
    return Training(encoder.encode(train), y, encoder.encode(valid), y_valid, encoder, task)


def model(case: Case, name: str, declared: Family) -> dg.AssetsDefinition:
    """The asset `models/<family>`."""

    def tuned(
        step: Step,
        development: Columns,
        feature_definitions: FeatureDefinitions,
        feature_selection: SelectedFeatures,
        grouped: pa.Table | None = None,
    ) -> TunedModel:
        spec = step.case.spec
        rows = development.read({"split", "target", *_folded_by(spec), *feature_selection.kept})
        data = training(rows, feature_definitions.only(feature_selection.kept), spec.task)
        with step.device() as device:
            return searched(step, name, rows, data, device, grouped)

    reference = case.spec.models.references.get(name, name)
    _check(case, name, reference, declared)
    kind = "python" if ":" in reference else KINDS.get(name, "scikitlearn")
    code = [reference.partition(":")[0]] if ":" in reference else []
    tuned.__doc__ = f"The best {name} model that the search found, refitted on all training rows."
    ins = {
        "development": "features/development",
        "feature_definitions": "feature_definitions",
        "feature_selection": "feature_selection",
    }
    if case.spec.examples.split.group:
        ins["grouped"] = f"raw/{case.spec.examples.table}"
    gpu = GpuWish(declared.gpu, declared.gpu_share, torch_without_cuda())  # torch's are the only ones that can use one
    settable = {"trials": f"models.{name}.trials", "folds": "tuning.folds", "workers": "tuning.workers"}
    return asset(
        case, f"models/{name}", stage="models", kinds={kind, "optuna"}, ins=ins, code=code, gpu=gpu, settable=settable
    )(tuned)


def _folded_by(spec: UseCaseSpec) -> set[str]:
    """The columns that say which rows are in a fold."""
    if not spec.tuning.folds:
        return set()
    key = spec.tables[spec.examples.table].keys[0]
    return {*(["cutoff"] if spec.examples.split.by_time else []), *([key] if spec.grouped else [])}


def _check(case: Case, name: str, reference: str, declared: Family) -> None:
    """Raises ValueError for what the family lacks or cannot do, when the use case is loaded."""
    chosen = family(reference)
    require_packages(chosen)
    require_task(chosen, Task(case.spec.task))
    if declared.gpu != "never":
        require_device(chosen, "cuda")
    Space(chosen, declared.space, declared.fixed)
    if declared.refit == "train_and_validation" and not isinstance(chosen, Settling):
        raise ValueError(
            f"models.{name}.refit: train_and_validation is not for {name}, whose training stops by the validation "
            f"rows; for these it is: {able_to_settle()}"
        )


def leaderboard(case: Case) -> dg.AssetsDefinition:
    """The asset `leaderboard`."""
    ins = {name: f"models/{name}" for name in case.spec.models.names}

    @asset(case, "leaderboard", stage="models", kinds={"pandas"}, ins=ins)
    def leaderboard(step: Step, **models: TunedModel) -> Leaderboard:
        """The tuned families side by side on validation; names the candidate."""
        board = rank({name: tuned.score for name, tuned in models.items()}, case.spec.metric)
        table = pd.DataFrame(board.ranking, columns=["family", f"validation {board.metric}"])
        step.show(candidate=board.candidate, leaderboard=dg.MetadataValue.md(table.to_markdown(index=False)))
        step.metrics(dict(board.ranking))
        return board

    return leaderboard


def onnx_model(case: Case) -> dg.AssetsDefinition:
    """The asset `onnx_model`."""
    ins = {name: f"models/{name}" for name in case.spec.models.names} | {
        "leaderboard": "leaderboard",
        "development": "features/development",
        "feature_definitions": "feature_definitions",
    }

    @asset(case, "onnx_model", stage="models", kinds={"onnx"}, ins=ins, gpu=_parity_gpu(case))
    def onnx_model(
        step: Step,
        leaderboard: Leaderboard,
        development: Columns,
        feature_definitions: FeatureDefinitions,
        **models: TunedModel,
    ) -> bytes:
        """The candidate as one ONNX file, with measured parity against the native model."""
        candidate = models[leaderboard.candidate]
        used = candidate.encoder.features
        rows = development.read({"split", "target", *used})
        content = export(
            candidate.model,
            candidate.encoder,
            {
                "sextant.use_case": case.name,
                "sextant.family": candidate.family,
                "sextant.coordinates": canonical_json(step.coordinates.summary()),
                "sextant.encoder": json.dumps(candidate.encoder.to_dict()),
                "sextant.definitions": feature_definitions.only(used).model_dump_json(),
                "sextant.spec": canonical_json(case.spec.of_model()),
                REFERENCE: reference(case.spec, candidate, rows).model_dump_json(),
            },
            candidate.task,
        )
        parity_rows = rows[rows["split"] == "validation"].head(PARITY_ROWS)
        with step.device() as device:
            parity = measure_parity(candidate.model, candidate.encoder, content, parity_rows, device=device)
        parity.raise_for_drift()
        step.show(providers=list(parity.providers), parity_cases=dict(parity.cases), family=candidate.family)
        step.metrics({"largest difference": parity.largest_difference})
        return annotated(content, {PARITY: repr(parity.largest_difference)})

    return onnx_model


def reference(spec: UseCaseSpec, candidate: TunedModel, rows: pd.DataFrame) -> Reference:
    """What the rows of both splits tell of the candidate; its answers are those from before it learned from both."""
    targets = [rows["target"][rows["split"] == name] for name in ("train", "validation")]
    y_train, y_valid = map(candidate.task.labels, targets)
    scores = candidate.refit_scores or (candidate.score,)
    return make_reference(
        candidate.task, spec.evaluation, spec.metric, y_train, y_valid, candidate.valid_predictions, scores
    )


def _parity_gpu(case: Case) -> GpuWish:
    """Where models are trained on a GPU, the converted one is compared on one too, if there is one."""
    wishing = [declared for declared in case.spec.models.families.values() if declared.gpu != "never"]
    if not wishing:
        return GpuWish("never")
    return GpuWish("preferred", min(declared.gpu_share for declared in wishing))
