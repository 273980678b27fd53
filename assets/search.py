"""The search behind a model's asset: its study, what is shown of it, and where it starts."""

from __future__ import annotations

from statistics import mean, stdev
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa

from assets.step import Step
from ml.declaration.families import Family
from ml.declaration.use_case import UseCaseSpec
from ml.examples.groups import groups_of, shared_between_times
from ml.models.family import Training
from ml.models.networks.options import CheckpointFolder
from ml.provenance.coordinates import Loaded
from ml.search.folds import declared_folds
from ml.search.plots import history, page
from ml.search.study import Search, Trial
from ml.search.tuning import Refit, TunedModel, tune
from ml.tasks.encoding import Encoder
from resources.home import home
from resources.ledger import Ledger

NOT_DECIDING = {"trials", "gpu", "gpu_share", "tolerance", "refit", "refit_seeds"}  # of a family, for its trials


def searched(
    step: Step, name: str, rows: pd.DataFrame, data: Training, device: str, grouped: pa.Table | None
) -> TunedModel:
    """The tuned model of a family over the rows of both splits and what they are encoded as, with all that is shown.

    `grouped` is the examples' table where the split names a column of it as the group.
    """
    spec, declared = step.case.spec, step.case.spec.models.families[name]
    first = _last(step, name) if declared.warm_start == "last" else None
    study = f"{step.case.name}/{name}/{_study_hash(step, declared)}"
    step.labels["study"] = study
    train = rows[rows["split"] == "train"]
    with step.studies.hold(study) as storage:
        search = Search(
            batch=spec.tuning.batch,
            workers=spec.tuning.workers,
            pruning=spec.tuning.pruning,
            space=declared.space,
            first=first.params if first else None,
            storage=storage,
            name=study,
            scratch=step.studies.rows() / study,
        )
        found = tune(
            spec.models.references.get(name, name),
            data,
            trials=declared.trials,
            seed=spec.seed,
            metric=spec.metric,
            rows=declared.rows,
            device=device,
            fixed=declared.fixed,
            checkpoints=CheckpointFolder(home() / "checkpoints"),
            report=lambda progress: step.run.curve(progress.step, progress.curves()),
            on_trial=lambda trial: _log(step, trial),
            folds=declared_folds(spec, train, data, declared.rows, _groups(spec, train, grouped)),
            search=search,
            refit=_refit(declared, rows, data),
        )
        _show_study(step, found, storage)
    _show(step, found)
    return found


def _groups(spec: UseCaseSpec, train: pd.DataFrame, grouped: pa.Table | None) -> pd.Series | None:
    """The groups of the training rows that folds keep whole, as the split does; None where it names none."""
    if not (spec.tuning.folds and spec.grouped):
        return None
    keys = pa.Table.from_pandas(train[[spec.tables[spec.examples.table].keys[0]]], preserve_index=False)
    groups = groups_of(spec, {} if grouped is None else {spec.examples.table: grouped}, keys)
    return None if groups is None else groups.to_pandas()


def _study_hash(step: Step, declared: Family) -> str:
    """What decides each trial of a study, but not how many there are: more trials go on with the same study."""
    spec = step.case.spec
    config = {
        "family": declared.model_dump(mode="json", exclude=NOT_DECIDING),
        "tuning": spec.tuning.model_dump(mode="json", exclude={"workers"}),
        "metric": spec.metric,
        "task": spec.task,
        "split": spec.examples.split.model_dump(mode="json"),
        "groups are shared": shared_between_times(spec),
    }
    return step.identity(config)[:16]


def _last(step: Step, name: str) -> TunedModel | None:
    """What was found when the asset was last made, which becomes a coordinate of what is found now; None at first."""
    ledger, asset = Ledger(), step.case.key(f"models/{name}").to_user_string()
    identity, stored = ledger.latest_of(asset), ledger.latest_result(asset)
    if identity is None or stored is None:
        return None
    last: TunedModel = step.storage.load(stored)
    step.also_loaded("warm start", Loaded(asset, stored.hash, identity))
    step.show(warm_start={"study": last.study, "parameters": dict(last.params)})
    return last


def _refit(declared: Family, rows: pd.DataFrame, data: Training) -> Refit:
    everything = None
    if declared.refit == "train_and_validation":
        encoder = Encoder.fit(rows, data.encoder.numeric, list(data.encoder.categories))
        X, y = encoder.encode(rows), data.task.labels(rows["target"])
        valid = (rows["split"] == "validation").to_numpy()
        everything = Training(X, y, X[valid], y[valid], encoder, data.task)
    return Refit(declared.refit_seeds, everything, declared.tolerance)


def _log(step: Step, trial: Trial) -> None:
    """Logs a trial as an MLflow run below the asset's."""
    step.log.info(f"trial {trial.number}: {said(trial)}")
    tags = {"trial": str(trial.number), "state": trial.state, **({"reason": trial.reason} if trial.reason else {})}
    scores = {"score": [trial.score] if trial.score is not None else [], "fold score": list(trial.folds)}
    step.run.child(f"trial {trial.number}", trial.params, scores, tags)


def _show_study(step: Step, found: TunedModel, storage: Any) -> None:
    import optuna

    step.figure("history", history(found.trials, found.metric))
    study = optuna.load_study(study_name=found.study, storage=storage)
    step.run.file("study.html", page(study, found.metric).encode())
    link = f"{step.tracking.link(step.run)}/artifacts/study.html"
    step.show(study=found.study, study_plots=dg.MetadataValue.url(link))


def _show(step: Step, found: TunedModel) -> None:
    step.show(best_parameters=dict(found.params), trials=dg.MetadataValue.md(_table(found.trials)))
    step.run.params(found.params)
    step.metrics({found.metric: found.score}, prefix="validation ")
    if len(found.refit_scores) > 1:
        spread = {"mean": mean(found.refit_scores), "standard deviation": stdev(found.refit_scores)}
        step.metrics({f"{found.metric} {name} of seeds": value for name, value in spread.items()}, "validation ")


def said(trial: Trial) -> str:
    """What became of a trial, in a few words."""
    if trial.score is not None:
        return f"{trial.score:.5f}"
    if trial.state != "PRUNED":
        return f"failed: {trial.reason}"
    inside = len(trial.losses) > len(trial.folds)
    return f"pruned in fold {len(trial.losses)}" if inside else f"pruned after fold {len(trial.folds)}"


def _table(trials: tuple[Trial, ...]) -> str:
    rows = [{"trial": trial.number, "result": said(trial), **trial.params} for trial in trials]
    return str(pd.DataFrame(rows).to_markdown(index=False))
