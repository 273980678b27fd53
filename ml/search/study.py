"""A study: an Optuna study that is asked and told in batches, and that a new driver can take up where one ended."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ml.base.seeds import derived_seed
from ml.search.evaluator import Job, Outcome, State
from ml.search.rungs import rung_thresholds
from ml.search.space import Space
from ml.search.workers import Run
from ml.tasks.metrics import Metric

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

TRIALS_TO_COMPARE = 5  # so many finished ones must there be before any is pruned, or drawn by what the others found


@dataclass(frozen=True)
class Search:
    """The way to search for settings: `batch` trials at a time, each decided by what earlier batches have found.

    `space` overrides the family's; `first` is the setting that is tried first, instead of those that the family knows
    to be good. The study is kept in `storage` under `name`; in memory, and forgotten, without one. How many `workers`
    evaluate a batch changes nothing; `scratch` is where they find the rows.
    """

    batch: int = 2
    workers: int = 1
    pruning: bool = True
    space: Mapping[str, Any] = field(default_factory=dict)
    first: Mapping[str, Any] | None = None
    storage: BaseStorage | None = None
    name: str = "study"
    scratch: Path | None = None

    def __post_init__(self) -> None:
        if self.batch < 1 or self.workers < 1:
            raise ValueError(f"`batch={self.batch}` and `workers={self.workers}` must be at least 1.")


@dataclass(frozen=True)
class Trial:
    """One setting and what it was worth: the mean of `folds`, its scores on each fold or on the validation split.

    `score` is None where the trial was pruned, or failed for `reason`. `losses` are those at the rungs of each fold
    that it began. `drawn` are the parameters in the study, which `params` follow from.
    """

    number: int
    params: Mapping[str, Any]
    score: float | None
    reason: str | None = None
    state: State = "COMPLETE"
    folds: tuple[float, ...] = ()
    losses: tuple[tuple[float, ...], ...] = ()
    drawn: Mapping[str, Any] = field(default_factory=dict)


class Study:
    """One driver's hold on a study. Nobody else may tell it anything meanwhile."""

    def __init__(self, space: Space, search: Search, metric: str, seed: int) -> None:
        import optuna
        from optuna.storages import get_storage

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.space, self.search, self.metric, self.seed = space, search, metric, seed
        self._direction: Literal["maximize", "minimize"] = (
            "maximize" if Metric.named(metric).higher_is_better else "minimize"
        )
        self._storage = get_storage(search.storage)
        self._study = optuna.create_study(
            storage=self._storage, study_name=search.name, direction=self._direction, load_if_exists=True
        )

    def run(self, trials: int, evaluate: Run) -> Iterator[Trial]:
        """Yield all trials in order, those that were finished before too; the others as `evaluate` finishes them."""
        for start in range(0, trials, self.search.batch):
            numbers = range(start, min(start + self.search.batch, trials))
            batch = self._recorded(numbers)
            thresholds, rungs = self._thresholds(start)
            jobs = [
                Job(frozen.number, self.space.settings(frozen.params), thresholds, rungs)
                for frozen in batch
                if not frozen.state.is_finished()
            ]
            outcomes = evaluate(jobs)
            for frozen in batch:
                if not frozen.state.is_finished():
                    self._tell(next(outcomes))
                yield self._trial(self._study.get_trials(deepcopy=False)[frozen.number])

    def _recorded(self, numbers: range) -> Sequence[FrozenTrial]:
        """Record the trials of a batch and return them: those of a driver that died keep their parameters."""
        from optuna.trial import TrialState, create_trial

        recorded = len(self._study.get_trials(deepcopy=False))
        for number, params in self._drawn(range(max(recorded, numbers.start), numbers.stop)):
            distributions = self.space.distributions(params)
            self._study.add_trial(create_trial(state=TrialState.RUNNING, params=params, distributions=distributions))
            assert len(self._study.get_trials(deepcopy=False)) == number + 1, "another driver uses this study"
        return self._study.get_trials(deepcopy=False)[numbers.start : numbers.stop]

    def _drawn(self, numbers: range) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield new parameters: those known to be good first, then what the sampler makes of trials before the batch.

        It draws from a copy in memory of those, with a seed of its own for each number: so it does not matter which of
        the batch are finished, or how often the driver has died.
        """
        import optuna

        if not numbers:
            return
        start, first = numbers.start - numbers.start % self.search.batch, self._first()
        copy = optuna.create_study(direction=self._direction)
        copy.add_trials(self._seen(start))
        for number in numbers:
            if number < len(first):
                yield number, first[number]
                continue
            seed = derived_seed(self.seed, self.space.family.name, "sampler", number)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                copy.sampler = optuna.samplers.TPESampler(
                    seed=seed, constant_liar=False, n_startup_trials=TRIALS_TO_COMPARE
                )
            trial = copy.ask()
            self.space.suggest(trial)
            yield number, trial.params

    def _first(self) -> list[dict[str, Any]]:
        """Return the settings to begin with, as near as the space allows, each once."""
        family = self.space.family
        wanted = [self.search.first] if self.search.first is not None else [family.defaults(), *family.good()]
        first: list[dict[str, Any]] = []
        for settings in wanted:
            params, _ = self.space.near(settings)
            first += [params] if params not in first else []
        return first

    def _seen(self, before: int) -> list[FrozenTrial]:
        """Return trials of earlier batches as the sampler takes them: one that failed, as pruned before all others.

        Failures would not count otherwise, and it would go on to search where every trial fails.
        """
        from optuna.trial import TrialState, create_trial

        return [
            create_trial(state=TrialState.PRUNED, params=frozen.params, distributions=frozen.distributions)
            if frozen.state == TrialState.FAIL
            else frozen
            for frozen in self._study.get_trials(deepcopy=False)[:before]
        ]

    def _thresholds(self, before: int) -> tuple[tuple[float | None, ...], tuple[tuple[float, ...], ...]]:
        """Return, after each part, the mean score so far that the best third of finished trials of earlier batches had.

        And in each part, the median of their losses at each rung.
        """
        from optuna.trial import TrialState

        earlier = self._study.get_trials(deepcopy=False)[:before]
        whole = [frozen for frozen in earlier if frozen.state == TrialState.COMPLETE]
        if not self.search.pruning or len(whole) < TRIALS_TO_COMPARE:
            return (), ()
        means = [Outcome(frozen.number, "COMPLETE", tuple(frozen.user_attrs["scores"])).means for frozen in whole]
        best_first = self._direction == "maximize"
        after = tuple(sorted(column, reverse=best_first)[len(whole) // 3] for column in zip(*means, strict=True))
        losses = zip(*(frozen.user_attrs["losses"] for frozen in whole), strict=True)
        return after, tuple(rung_thresholds(fits) for fits in losses)

    def _tell(self, outcome: Outcome) -> None:
        """Record an outcome in the study."""
        from optuna.trial import TrialState

        study = self._storage.get_study_id_from_name(self.search.name)
        identity = self._storage.get_trial_id_from_study_id_trial_number(study, outcome.number)
        # What explains the trial comes before its state: a driver that dies between them evaluates it again.
        for step, mean in enumerate(outcome.means):
            self._storage.set_trial_intermediate_value(identity, step, mean)
        self._storage.set_trial_user_attr(identity, "scores", list(outcome.scores))
        self._storage.set_trial_user_attr(identity, "losses", [list(losses) for losses in outcome.losses])
        if outcome.reason:
            self._storage.set_trial_user_attr(identity, "reason", outcome.reason)
        value = outcome.means[-1] if outcome.state == "COMPLETE" else None
        self._study.tell(outcome.number, value, state=TrialState[outcome.state])

    def _trial(self, frozen: FrozenTrial) -> Trial:
        """Return a finished trial of the study as one of ours."""
        state: Any = frozen.state.name
        return Trial(
            frozen.number,
            self.space.settings(frozen.params),
            frozen.value if state == "COMPLETE" else None,
            frozen.user_attrs.get("reason"),
            state,
            tuple(frozen.user_attrs["scores"]),
            tuple(map(tuple, frozen.user_attrs["losses"])),
            dict(frozen.params),
        )
