"""The search behind a model's asset: its study, its start, and the tables and plots that show it."""

from __future__ import annotations

from statistics import mean, stdev
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa

from assets import reads
from assets.framework.step import Step
from ml.base.text import markdown_table
from ml.declaration.families import Family
from ml.declaration.use_case import UseCaseSpec
from ml.examples.groups import groups_of
from ml.models.family import Training
from ml.models.progress import CheckpointFolder
from ml.provenance.coordinates import Loaded
from ml.search.folds import declared_folds
from ml.search.plots import history, page
from ml.search.study import Search, Trial
from ml.search.tuning import Refit, TunedModel, tune
from ml.tasks.counting import GROUP, RowGroups, group_numbers
from ml.tasks.labels import label
from ml.tasks.row_weights import RowWeights
from ml.tasks.targets import of_target
from resources.home import home
from resources.ledger import Ledger


def searched(
    step: Step, name: str, rows: pd.DataFrame, data: Training, device: str, grouped: pa.Table | None, target: str = ""
) -> TunedModel:
    """Return the tuned model of a family over the rows of both splits, and show its search; `data` is the rows encoded.

    `grouped` is the examples' table where the split names a column of it as the group. Of several targets the rows have
    `target` alone, which has a study of its own.
    """
    spec, declared = step.case.spec, step.case.spec.models.families[name]
    first = _last(step, name, target) if declared.warm_start == "last" else None
    reference = spec.models.references.get(name, name)
    step.labels["study"] = f"{step.case.name}/{name}/{step.identity(reads.search(reference))[:16]}"
    study = "/".join(filter(None, [step.labels["study"], target]))
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
        tuned = tune(
            reference,
            data,
            trials=declared.trials,
            seed=spec.seed,
            metric=spec.metric,
            rows=declared.rows,
            device=device,
            fixed=declared.fixed,
            checkpoints=CheckpointFolder(home() / "checkpoints"),
            report=lambda progress: step.run.curve(
                progress.step, {of_target(curve, target): value for curve, value in progress.curves().items()}
            ),
            on_trial=lambda trial: _log(step, trial, target),
            folds=declared_folds(spec, train, data, declared.rows, _groups(spec, train, grouped)),
            search=search,
            refit=_refit(declared, rows, data, spec.examples.weights),
            around=step.run.trials(target),
        )
        _show_study(step, tuned, storage, target)
    _show(step, tuned, target)
    return tuned


def _groups(spec: UseCaseSpec, train: pd.DataFrame, grouped: pa.Table | None) -> pd.Series | None:
    """Return the groups of the training rows that folds keep whole, as the split does; None where it names none."""
    if not (spec.tuning.folds and spec.grouped):
        return None
    if spec.kept_whole is not None and spec.kept_whole != spec.examples.split.group:
        return train[GROUP]
    keys = pa.Table.from_pandas(train[spec.keys], preserve_index=False)
    groups = groups_of(spec, {} if grouped is None else {spec.examples.table: grouped}, keys)
    return None if groups is None else groups.to_pandas()


def _last(step: Step, name: str, target: str) -> TunedModel | None:
    """Return the model of the last materialization, which becomes a coordinate of this one; None at first.

    Of several targets it is that of this one; None where there was none.
    """
    ledger, asset = Ledger(), step.case.key(f"models/{name}").to_user_string()
    identity, stored = ledger.latest_of(asset), ledger.latest_result(asset)
    if identity is None or stored is None:
        return None
    last: TunedModel = step.storage.load(stored)
    if "warm start" not in step.loaded:
        step.also_loaded("warm start", Loaded(asset, stored.hash, identity))
    if target or last.task.targets:
        if target not in last.task.targets:
            return None
        last = last.of(target)
    step.show(**{of_target("warm start", target): {"study": last.study, "parameters": dict(last.params)}})
    return last


def _refit(declared: Family, rows: pd.DataFrame, data: Training, how: str | None) -> Refit:
    everything = None
    if declared.refit == "train_and_validation":
        encoder = data.encoder.fitted_again(rows)
        X, y = encoder.encode(rows), data.task.labels(rows["target"])
        valid = (rows["split"] == "validation").to_numpy()
        weights = RowWeights.declared(how, y, y[valid], (rows, rows[valid]))
        everything = Training(
            *(X, y, X[valid], y[valid], encoder, data.task, weights, data.objective, data.transform, data.monotone),
            ranked=RowGroups(group_numbers(rows), group_numbers(rows[valid])) if data.ranked else None,
        )
    return Refit(declared.refit_seeds, everything, declared.tolerance)


def _log(step: Step, trial: Trial, target: str) -> None:
    """Log a trial as an MLflow run below the asset's."""
    name = of_target(f"trial {trial.number}", target)
    step.log.info(f"{name}: {outcome(trial)}")
    tags = {"trial": str(trial.number), "state": trial.state, **({"reason": trial.reason} if trial.reason else {})}
    scores = {"score": [trial.score] if trial.score is not None else [], "fold score": list(trial.folds)}
    step.run.child(name, trial.params, scores, tags)


def _show_study(step: Step, tuned: TunedModel, storage: Any, target: str) -> None:
    import optuna

    step.figure(of_target("history", target), history(tuned.trials, tuned.metric, tuned.task.kind))
    study = optuna.load_study(study_name=tuned.study, storage=storage)
    file = f"study_{target}.html" if target else "study.html"
    step.run.file(file, page(study, label(tuned.metric, tuned.task.kind)).encode())
    shown = {"study": tuned.study, "study plots": dg.MetadataValue.url(step.run.link(file))}
    step.show(**{of_target(name, target): value for name, value in shown.items()})


def _show(step: Step, tuned: TunedModel, target: str) -> None:
    shown = {"best parameters": dict(tuned.params), "trials": dg.MetadataValue.md(_table(tuned.trials))}
    step.show(**{of_target(name, target): value for name, value in shown.items()})
    step.run.params({f"{target}.{param}" if target else param: value for param, value in tuned.params.items()})
    metric = label(tuned.metric, tuned.task.kind)
    figures = {metric: tuned.score}
    if len(tuned.refit_scores) > 1:
        figures[f"{metric} mean of seeds"] = mean(tuned.refit_scores)
        figures[f"{metric} standard deviation of seeds"] = stdev(tuned.refit_scores)
    step.metrics({of_target(name, target): value for name, value in figures.items()}, prefix="validation ")


def outcome(trial: Trial) -> str:
    """Return what became of a trial, in a few words."""
    if trial.score is not None:
        return f"{trial.score:.5f}"
    if trial.state != "PRUNED":
        return f"failed: {trial.reason}"
    inside = len(trial.losses) > len(trial.folds)
    return f"pruned in fold {len(trial.losses)}" if inside else f"pruned after fold {len(trial.folds)}"


def _table(trials: tuple[Trial, ...]) -> str:
    return markdown_table([{"trial": trial.number, "result": outcome(trial), **trial.params} for trial in trials])
