"""One tuned model of a family."""

import dagster as dg
import pandas as pd
import pyarrow as pa

from assets import reads
from assets.framework.asset import asset
from assets.framework.case import Case
from assets.framework.step import Step
from assets.stages.search import searched
from ml.base.gpus import torch_without_cuda
from ml.declaration.catalogue import icon_of, module_of
from ml.declaration.families import Family
from ml.declaration.use_case import UseCaseSpec
from ml.features.definitions import FeatureDefinitions
from ml.models.catalogue import family, require_packages
from ml.models.family import Training, require_device, require_task
from ml.search.selected_features import SelectedFeatures
from ml.search.space import Space
from ml.search.tuning import TunedModel, able_to_settle
from ml.tasks.encoding import Encoder
from ml.tasks.metrics import Kind, Task
from resources.gpu.pool import GpuWish
from resources.storage import Columns


def training(development: pd.DataFrame, definitions: FeatureDefinitions, kind: Kind = "binary") -> Training:
    """Return the encoded training and validation rows; the encoder has seen training rows only."""
    train, valid = (development[development["split"] == name] for name in ("train", "validation"))
    encoder = Encoder.fit(train, definitions.numeric, definitions.categorical)
    task = Task.of(kind, train["target"])
    y, y_valid = task.labels(train["target"]), task.labels(valid["target"])
    return Training(encoder.encode(train), y, encoder.encode(valid), y_valid, encoder, task)


def model(case: Case, name: str, declared: Family) -> dg.AssetsDefinition:
    """Return the asset `models/<family>`."""

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
    tuned.__doc__ = f"The best {name} model that the search found, refitted on all training rows."
    ins = {
        "development": "features/development",
        "feature_definitions": "feature_definitions",
        "feature_selection": "feature_selection",
    }
    if case.spec.examples.split.group:
        ins["grouped"] = f"raw/{case.spec.examples.table}"
    return asset(
        case,
        f"models/{name}",
        stage="models",
        kinds={icon_of(reference), "optuna"},
        reads=reads.model(reference),
        ins=ins,
        code=[module_of(reference), *(["ml.models.custom"] if ":" in reference else [])],
        # torch's are the only ones that can use a GPU
        gpu=GpuWish(declared.gpu, declared.gpu_share, torch_without_cuda()),
        resources=["studies"],
        settable={"trials": f"models.{name}.trials", "folds": "tuning.folds", "workers": "tuning.workers"},
    )(tuned)


def _folded_by(spec: UseCaseSpec) -> set[str]:
    """Return the columns that say which rows are in a fold."""
    if not spec.tuning.folds:
        return set()
    return {*spec.examples.split.folded_by, *(spec.keys if spec.grouped else [])}


def _check(case: Case, name: str, reference: str, declared: Family) -> None:
    """Raise ValueError for what the family lacks or cannot do, when the use case is loaded."""
    require_packages(reference)
    chosen = family(reference)
    require_task(chosen, Task(case.spec.task))
    if declared.gpu != "never":
        require_device(chosen, "cuda")
    Space(chosen, declared.space, declared.fixed).require(Task(case.spec.task))
    if declared.refit == "train_and_validation" and not chosen.settles:
        raise ValueError(
            f"models.{name}.refit: train_and_validation is not for {name}, whose training stops by the validation "
            f"rows; for these it is: {able_to_settle()}"
        )
