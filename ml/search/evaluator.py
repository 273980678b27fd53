"""The worth of one trial: a setting fitted and judged on each part of a problem, with what they share made once."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from ml.base.seeds import derived_seed
from ml.models.family import Family, FittedModel, Training
from ml.models.monotone import require_monotone
from ml.models.progress import CheckpointFolder, Progress
from ml.search.rungs import Pruned, Watch
from ml.tasks.answers import rows_unanswered
from ml.tasks.counting import RowGroups
from ml.tasks.encoding import Encoder
from ml.tasks.metrics import Metric, score
from ml.tasks.objectives import Objective
from ml.tasks.row_weights import RowWeights
from ml.tasks.task import Task
from ml.tasks.transforms import Transform

Around: TypeAlias = Callable[[int], AbstractContextManager[None]]  # of a trial's number, entered while it is evaluated
State = Literal["COMPLETE", "PRUNED", "FAIL"]
_ARRAYS = ("X", "y", "X_valid", "y_valid")


@dataclass(frozen=True)
class Job:
    """A trial to be evaluated: it is pruned after part i if its mean score so far is worse than `thresholds[i]`.

    It is pruned in part i if its validation loss at rung k is above `rungs[i][k]`.
    """

    number: int
    settings: Mapping[str, Any]
    thresholds: tuple[float | None, ...] = ()
    rungs: tuple[tuple[float, ...], ...] = ()


@dataclass(frozen=True)
class Outcome:
    """The worth of a trial: `means[i]` is the mean score of its parts up to i, and `scores` each part's own.

    `losses[i]` are the validation losses at each rung of part i and last the least one, if the family tells them.
    """

    number: int
    state: State
    scores: tuple[float, ...] = ()
    reason: str | None = None
    losses: tuple[tuple[float, ...], ...] = ()

    @property
    def means(self) -> tuple[float, ...]:
        return tuple(math.fsum(self.scores[: end + 1]) / (end + 1) for end in range(len(self.scores)))


@dataclass(frozen=True)
class Fitter:
    """Fits models of a family; one whose `fit` takes `checkpoints` leaves them and takes them up."""

    family: Family
    seed: int
    device: str = "cpu"
    threads: int = 1
    checkpoints: CheckpointFolder | None = None

    def __call__(
        self,
        data: Training,
        settings: Mapping[str, Any],
        *seed: object,
        report: Callable[[Progress], None] | None = None,
        **more: Any,
    ) -> FittedModel:
        """Fit a model whose random numbers derive from `seed`; `report` hears how the training of a network goes.

        `more` is passed on as it is: it may hold only arguments that the family takes. Raises ArithmeticError for a
        model whose answers do not follow the monotone features.
        """
        following = {"checkpoints": self.checkpoints, "report": report}
        more |= {keyword: value for keyword, value in following.items() if self.family.takes(keyword)}
        model = self.family.fit(
            data,
            settings,
            seed=derived_seed(self.seed, self.family.name, *seed),
            device=self.device,
            threads=self.threads,
            **more,
        )
        require_monotone(model, data)
        return model


@dataclass
class Evaluator:
    """Evaluates trials on `parts`: the validation split, or the folds; each within what `around` makes."""

    fitter: Fitter
    parts: Sequence[Training]
    metric: str
    around: Around | None = None
    _prepared: dict[int, Any] = field(default_factory=dict)

    def __call__(self, job: Job) -> Outcome:
        with self.around(job.number) if self.around else nullcontext():
            return self._outcome(job)

    def _outcome(self, job: Job) -> Outcome:
        scores: list[float] = []
        losses: list[tuple[float, ...]] = []
        try:
            for part in range(len(self.parts)):
                watch = Watch(job.rungs[part] if job.rungs else ())
                scores.append(self.score(part, self.fit(job, part, watch=watch)))
                losses.append(watch.whole)
                so_far = Outcome(job.number, "PRUNED", tuple(scores), losses=tuple(losses))
                if self._worse(so_far, job.thresholds):
                    return so_far
        except Pruned:
            return Outcome(job.number, "PRUNED", tuple(scores), losses=(*losses, tuple(watch.losses)))
        except Exception as error:  # a library may raise anything for a bad setting: it is kept as the trial's reason
            return Outcome(job.number, "FAIL", tuple(scores), f"{type(error).__name__}: {error}")
        return Outcome(job.number, "COMPLETE", tuple(scores), losses=tuple(losses))

    def fit(
        self, job: Job, part: int, report: Callable[[Progress], None] | None = None, watch: Watch | None = None
    ) -> FittedModel:
        """Fit the model of a trial on one part; `watch` may end it, if the family can be watched."""
        family, data = self.fitter.family, self.parts[part]
        more: dict[str, Any] = {"watch": watch} if watch and family.takes("watch") else {}
        if family.takes("prepared"):
            if part not in self._prepared:
                self._prepared[part] = family.prepare(data)
            more["prepared"] = self._prepared[part]
        return self.fitter(data, job.settings, job.number, report=report, **more)

    def score(self, part: int, model: FittedModel) -> float:
        """Score a model on the rows that the part is judged on; raises ArithmeticError if that is no number."""
        data = self.parts[part]
        return worth(self.metric, model.predict(data.X_valid), data)

    def _worse(self, so_far: Outcome, thresholds: Sequence[float | None]) -> bool:
        """Return True if a trial need not go on; after its last part it is finished anyway."""
        done, sign = len(so_far.scores), Metric.named(self.metric).sign
        if done >= len(self.parts) or done > len(thresholds):
            return False
        threshold = thresholds[done - 1]
        return threshold is not None and sign * so_far.means[-1] < sign * threshold


def worth(metric: str, answers: np.ndarray, data: Training) -> float:
    """Score answers to the rows that a model is judged on; raises ArithmeticError, with the reason, if it is none."""
    if wrong := int((~np.isfinite(answers)).sum()):
        raise ArithmeticError(f"{wrong} of {answers.size} predictions are no finite numbers")
    if wrong := rows_unanswered(answers, data.task):
        raise ArithmeticError(f"{wrong} of {len(answers)} predictions are no probabilities: each 0 to 1, in sum 1")
    value = score(metric, data.y_valid, answers, data.scoring)
    if not math.isfinite(value):
        why = Metric.named(metric).undefined(data.y_valid, answers, data.scoring)
        raise ArithmeticError(f"the {metric} is {value}" if why is None else f"no {metric}: {why}")
    return value


def save_parts(parts: Sequence[Training], folder: Path) -> None:
    """Write parts as arrays that other processes map into their memory, so that all share one copy."""
    for number, data in enumerate(parts):
        place = folder / str(number)
        place.mkdir(parents=True)
        for name in _ARRAYS:
            np.save(place / f"{name}.npy", getattr(data, name))
        if data.weights:
            np.savez(place / "weights.npz", learned=data.weights.learned, watched=data.weights.watched)
        if data.ranked:
            np.savez(place / "ranked.npz", learned=data.ranked.learned, watched=data.ranked.watched)
        in_metrics = bool(data.weights and data.weights.in_metrics)
        about = {
            "encoder": data.encoder.to_dict(),
            "task": data.task.to_dict(),
            "objective": data.objective.name,
            "weights in metrics": in_metrics,
            "monotone": dict(data.monotone),
            "transform": asdict(data.transform) if data.transform else None,
        }
        (place / "about.json").write_text(json.dumps(about))


def load_parts(folder: Path) -> list[Training]:
    """Read the parts that `save_parts` wrote."""
    parts = []
    for place in sorted(folder.iterdir(), key=lambda path: int(path.name)):
        about = json.loads((place / "about.json").read_text())
        # "c": a private copy of what is written to, which torch wants to be possible and nobody does.
        arrays = {name: np.load(place / f"{name}.npy", mmap_mode="c") for name in _ARRAYS}
        task = Task.stored(about["task"])
        weights = None
        if (stored := place / "weights.npz").exists():
            weights = RowWeights(**np.load(stored), in_metrics=about["weights in metrics"])
        ranked = RowGroups(**np.load(stored)) if (stored := place / "ranked.npz").exists() else None
        encoder, objective = Encoder.from_dict(about["encoder"]), Objective.named(about["objective"])
        transform = Transform(**about["transform"]) if about["transform"] else None
        how: dict[str, Any] = {
            "weights": weights,
            "objective": objective,
            "transform": transform,
            "monotone": about["monotone"],
            "ranked": ranked,
        }
        parts.append(Training(**arrays, encoder=encoder, task=task, **how))
    return parts
