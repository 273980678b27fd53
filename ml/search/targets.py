"""The tuned models of several targets as one: each is searched for and fitted as if its target were the only one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from statistics import fmean

import numpy as np

from ml.models.joined import FittedTargets
from ml.search.tuning import TunedModel
from ml.tasks.task import Task


@contextmanager
def concerning(target: str) -> Iterator[None]:
    """Name one of several targets in what goes wrong with it alone: RuntimeError in place of that and of ValueError."""
    try:
        yield
    except (RuntimeError, ValueError) as error:
        raise RuntimeError(f"the target {target!r}: {error}") from error


def together(tuned: Mapping[str, TunedModel]) -> TunedModel:
    """Return the models of several targets, by name, as one whose score is the mean of theirs.

    Raises ValueError if they do not share one encoder, metric and kind of task.
    """
    models = list(tuned.values())
    first = models[0]
    if len({(repr(model.encoder.to_dict()), model.metric, model.task) for model in models}) > 1:
        raise ValueError(f"The models of the targets {list(tuned)} have different encoders, metrics or tasks.")
    seeds = zip(*(model.refit_scores for model in models), strict=True)
    return TunedModel(
        family=first.family,
        params={f"{name}.{param}": value for name, model in tuned.items() for param, value in model.params.items()},
        model=FittedTargets({name: model.model for name, model in tuned.items()}, len(first.encoder.features)),
        encoder=first.encoder,
        metric=first.metric,
        score=fmean(model.score for model in models),
        trials=(),
        best_trial=0,
        task=Task(first.task.kind, targets=tuple(tuned)),
        valid_predictions=np.stack([model.valid_predictions for model in models], axis=1),
        oof_predictions=_out_of_fold([model.oof_predictions for model in models]),
        refit_scores=tuple(map(fmean, seeds)),
        study=first.study.rpartition("/")[0],
        of_targets=tuple(models),
    )


def _out_of_fold(predictions: Sequence[np.ndarray | None]) -> np.ndarray | None:
    answered = [answers for answers in predictions if answers is not None]
    return np.stack(answered, axis=1) if len(answered) == len(predictions) else None
