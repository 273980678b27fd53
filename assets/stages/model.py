"""One tuned model of a family."""

from collections.abc import Mapping

import dagster as dg
import numpy as np
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
from ml.declaration.use_case import DIRECTIONS, UseCaseSpec
from ml.features.definitions import FeatureDefinitions
from ml.models.catalogue import family, require_packages
from ml.models.family import Training, require_device, require_task
from ml.search.selected_features import SelectedFeatures
from ml.search.space import Space
from ml.search.targets import concerning, together
from ml.search.tuning import TunedModel, able_to_be_monotone, able_to_learn, able_to_settle, able_to_weigh
from ml.tasks.counting import RowGroups, counting_columns, group_numbers
from ml.tasks.encoding import Encoder
from ml.tasks.metrics import own_modules
from ml.tasks.objectives import Objective
from ml.tasks.row_weights import RowWeights
from ml.tasks.targets import with_alone
from ml.tasks.task import Kind, Task
from ml.tasks.transforms import learned_as
from resources.gpu.pool import GpuWish
from resources.storage import Columns


def training(
    development: pd.DataFrame,
    definitions: FeatureDefinitions,
    kind: Kind = "binary",
    weights: str | None = None,
    objective: str | None = None,
    target: str | None = None,
    monotone: Mapping[str, str] | None = None,
    ranked_within: str | None = None,
) -> Training:
    """Return the encoded training and validation rows, weighed as declared; the encoder has seen training rows only.

    Raises ValueError where some targets cannot be learned by the objective.
    """
    train, valid = (development[development["split"] == name] for name in ("train", "validation"))
    encoder = Encoder.fit(train, definitions.numeric, definitions.categorical, definitions.texts)
    task = Task.of(kind, train["target"])
    y, y_valid = task.labels(train["target"]), task.labels(valid["target"])
    learned_by = Objective.named(objective)
    if objective and (problem := learned_by.problem(np.concatenate([y, y_valid]))) is not None:
        raise ValueError(f"{problem}; leave such rows out with examples.where, or declare another objective")
    weighed = RowWeights.declared(weights, y, y_valid, (train, valid))
    directions = {name: DIRECTIONS[way] for name, way in (monotone or {}).items() if name in encoder.numeric}
    transform = learned_as(target) if kind == "regression" else None
    X, X_valid = encoder.encode(train), encoder.encode(valid)
    ranked = RowGroups(group_numbers(train), group_numbers(valid)) if ranked_within else None
    return Training(X, y, X_valid, y_valid, encoder, task, weighed, learned_by, transform, directions, ranked)


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
        how, kept = spec.examples.weights, feature_selection.kept
        columns = {"split", *spec.examples.target_columns, *counting_columns(spec.examples), *_folded_by(spec), *kept}
        rows = development.read(columns)
        _require_features(name, spec, feature_definitions)
        declared_as = spec.objective, spec.examples.one_target, spec.monotone, spec.examples.ranked_within

        def alone(rows: pd.DataFrame, target: str = "") -> TunedModel:
            data = training(rows, feature_definitions.only(kept), spec.task, how, *declared_as)
            return searched(step, name, rows, data, device, grouped, target)

        with step.device() as device:
            if not spec.examples.targets:
                return alone(rows)
            of_targets = {}
            for target in spec.examples.targets:
                with concerning(target):
                    of_targets[target] = alone(with_alone(rows, target), target)
        tuned = together(of_targets)
        step.metrics({tuned.metric: tuned.score}, prefix="validation ")
        return tuned

    reference = case.spec.models.references.get(name, name)
    _check(case, name, reference, declared)
    own = own_modules([case.spec.metric])
    tuned.__doc__ = f"The best {name} model that the search found, refitted on all training rows."
    ins = {
        "development": "features/development",
        "feature_definitions": "feature_definitions",
        "feature_selection": "feature_selection",
    }
    if case.spec.examples.split.group:  # a group within which rows are ranked is a column of the matrix
        ins["grouped"] = f"raw/{case.spec.examples.table}"
    return asset(
        case,
        f"models/{name}",
        stage="models",
        kinds={icon_of(reference), "optuna"},
        reads=reads.model(reference),
        ins=ins,
        code=[module_of(reference), *(["ml.models.custom"] if ":" in reference else []), *own],
        # torch's are the only ones that can use a GPU
        gpu=GpuWish(declared.gpu, declared.gpu_share, torch_without_cuda()),
        resources=["studies"],
        settable={"trials": f"models.{name}.trials", "folds": "tuning.folds", "workers": "tuning.workers"},
    )(tuned)


def _require_features(name: str, spec: UseCaseSpec, definitions: FeatureDefinitions) -> None:
    """Raise ValueError for a monotone feature that there is not, or that is no number."""
    if wrong := sorted(set(spec.monotone) - set(definitions.numeric)):
        raise ValueError(
            f"models.{name}: monotone names {wrong}, which are no features that are numbers; allowed: "
            f"{', '.join(sorted(definitions.numeric))}"
        )


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
    objective = Objective.named(case.spec.objective)
    if objective.kind not in chosen.objectives:
        raise ValueError(
            f"models.{name} cannot learn the objective {objective.name}; these can: {able_to_learn(objective.kind)}"
        )
    if case.spec.monotone and not chosen.keeps_monotone_by(objective.kind):
        by = f" by the objective {objective.name}" if chosen.takes_monotone else ""
        raise ValueError(
            f"models.{name} cannot keep to monotone ({', '.join(sorted(case.spec.monotone))}){by}; these can: "
            f"{able_to_be_monotone(objective.kind)}"
        )
    if case.spec.examples.weights is not None and not chosen.weighs_by(objective.kind):
        by = f" by the objective {objective.name}" if chosen.takes_weights else ""
        raise ValueError(
            f"models.{name} cannot take examples.weights ({case.spec.examples.weights}){by}; these can: "
            f"{able_to_weigh(case.spec.task, objective.kind)}. A family of your own that goes by data.weights says "
            "takes_weights = True"
        )
    Space(chosen, declared.space, declared.fixed).require(Task(case.spec.task))
    texts = sorted(f"{table}.{column}" for table, columns in case.spec.tables.items() for column in columns.texts)
    if texts and not chosen.takes_texts:
        raise ValueError(
            f"models.{name} cannot learn from the texts that logical_types declares ({', '.join(texts)}); leave the "
            "family out, or list the columns under ignore"
        )
    if declared.refit == "train_and_validation" and not chosen.settles:
        raise ValueError(
            f"models.{name}.refit: train_and_validation is not for {name}, whose training stops by the validation "
            f"rows; for these it is: {able_to_settle()}"
        )
