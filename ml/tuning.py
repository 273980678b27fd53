"""The search for a family's best settings: one Optuna study, asked and told in batches of fixed size."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from ml.encoding import Encoder
from ml.metrics import METRICS, Task, score
from ml.models import Family, FittedModel, Training, family


@dataclass(frozen=True)
class Trial:
    """One setting and what it was worth on validation; `score` is None where the trial failed for `reason`."""

    number: int
    params: Mapping[str, Any]
    score: float | None
    reason: str | None = None


@dataclass(frozen=True)
class TunedModel:
    """A family's winner, refitted on all training rows; `score` is the refit's, on validation."""

    family: str
    params: Mapping[str, Any]
    model: FittedModel
    encoder: Encoder
    metric: str
    score: float
    trials: tuple[Trial, ...]
    best_trial: int
    task: Task = Task()


def derived_seed(*parts: object) -> int:
    """A 31-bit seed from the use case's seed, the family and the trial: different ones do not share random numbers."""
    return int.from_bytes(sha256("/".join(map(str, parts)).encode()).digest()[:4], "big") >> 1


def tune(
    family_name: str,
    data: Training,
    *,
    trials: int,
    seed: int,
    metric: str = "roc_auc",
    batch_size: int = 2,
    rows: int | None = None,
    device: str = "cpu",
    threads: int = 1,
    on_trial: Callable[[Trial], None] | None = None,
) -> TunedModel:
    """The best of `trials` settings, tuned on at most `rows` training rows and refitted on all.

    The family's defaults are the first trial. Raises RuntimeError with the first reason if every trial failed.
    """
    if trials < 1:
        raise ValueError(f"`{trials=}` must be at least 1.")
    chosen, sample = family(family_name), data if rows is None else data.sample(rows, derived_seed(seed, "sample"))
    done = _search(chosen, sample, trials, seed, metric, batch_size, device, threads, on_trial)
    finished = [trial for trial in done if trial.score is not None]
    if not finished:
        raise RuntimeError(f"All {len(done)} trials of {family_name!r} failed. The first: {done[0].reason}")
    best = max(finished, key=lambda trial: (METRICS[metric].sign * (trial.score or 0.0), -trial.number))
    model = chosen.fit(
        data, best.params, seed=derived_seed(seed, family_name, best.number), device=device, threads=threads
    )
    value = score(metric, data.y_valid, model.predict(data.X_valid))
    return TunedModel(family_name, best.params, model, data.encoder, metric, value, tuple(done), best.number, data.task)


def _search(
    chosen: Family,
    data: Training,
    trials: int,
    seed: int,
    metric: str,
    batch_size: int,
    device: str,
    threads: int,
    on_trial: Callable[[Trial], None] | None,
) -> list[Trial]:
    import optuna
    from optuna.trial import TrialState

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        direction="maximize" if METRICS[metric].higher_is_better else "minimize",
        sampler=optuna.samplers.TPESampler(seed=derived_seed(seed, chosen.name, "sampler")),
    )
    study.enqueue_trial(chosen.defaults())
    done: list[Trial] = []
    while len(done) < trials:
        asked = [study.ask() for _ in range(min(batch_size, trials - len(done)))]
        settings = [chosen.suggest(trial) for trial in asked]
        for trial, params in zip(asked, settings, strict=True):
            result = _evaluate(chosen, data, trial.number, params, seed, metric, device, threads)
            if result.score is None:
                study.tell(trial, state=TrialState.FAIL)
            else:
                study.tell(trial, result.score)
            done.append(result)
            if on_trial is not None:
                on_trial(result)
    return done


def _evaluate(
    chosen: Family,
    data: Training,
    number: int,
    params: Mapping[str, Any],
    seed: int,
    metric: str,
    device: str,
    threads: int,
) -> Trial:
    try:
        model = chosen.fit(data, params, seed=derived_seed(seed, chosen.name, number), device=device, threads=threads)
        value = score(metric, data.y_valid, model.predict(data.X_valid))
    except (ArithmeticError, ValueError) as error:
        return Trial(number, params, None, f"{type(error).__name__}: {error}")
    if not math.isfinite(value):
        return Trial(number, params, None, f"the {metric} is {value}")
    return Trial(number, params, value)
