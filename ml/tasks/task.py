"""Tasks: the kinds of answers that are predicted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ml.tasks.targets import TARGET, target_column

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["binary", "multiclass", "regression"]
DIGITS = 2**18  # last digits of a double that are the least unit of numbers: two of them are below the usual tolerance


@dataclass(frozen=True)
class Task:
    """A kind of answer: a class's probability, that of each of `classes` in the order of their codes, or a number.

    Where there are several `targets`, named, it is the answer to each of them.
    """

    kind: Kind = "binary"
    classes: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()

    @classmethod
    def of(cls, kind: Kind, targets: pd.Series) -> Task:
        """Return the task whose classes, if it has many, are those of `targets`, sorted by name."""
        return cls(kind, tuple(sorted(targets.unique())) if kind == "multiclass" else ())

    @classmethod
    def stored(cls, values: Mapping[str, Any]) -> Task:
        """Return the task that `to_dict` described."""
        return cls(values["kind"], tuple(values["classes"]), tuple(values.get("targets", ())))

    def to_dict(self) -> dict[str, Any]:
        """Return the task as plain JSON values; without several targets it is described as before there were any."""
        about = {"kind": self.kind, "classes": list(self.classes)}
        return about | ({"targets": list(self.targets)} if self.targets else {})

    def __str__(self) -> str:
        """Return the task in words."""
        if self.targets:
            return f"{self.kind} of the targets {', '.join(self.targets)}"
        return f"{self.kind} of the classes {', '.join(self.classes)}" if self.classes else self.kind

    @property
    def alone(self) -> Task:
        """The task of one of several targets."""
        return Task(self.kind, self.classes)

    def places_in(self, other: Task) -> list[int] | None:
        """Return the places at which another task has the answers of this one; None where it answers something else.

        The order in which several targets are declared is no matter.
        """
        alike = (self.kind, self.classes, sorted(self.targets)) == (other.kind, other.classes, sorted(other.targets))
        if not alike:
            return None
        return [other.targets.index(target) for target in self.targets] or list(range(self.outputs))

    @property
    def columns(self) -> list[str]:
        """The columns of examples and feature matrices that hold the target, or each of several."""
        return [target_column(name) for name in self.targets] or [TARGET]

    @property
    def outputs(self) -> int:
        """The count of numbers that answer one row."""
        return len(self.classes) if self.kind == "multiclass" else len(self.targets) or 1

    @property
    def answer_shape(self) -> tuple[int, ...]:
        """The shape of what answers one row: () of one number, or (n_classes,), or (n_targets,)."""
        return (self.outputs,) if self.targets or self.kind == "multiclass" else ()

    def labels_of(self, rows: pd.DataFrame) -> np.ndarray:
        """Return the labels of rows with their targets, [n_rows], or [n_rows, n_targets] of several."""
        labels = [self.labels(rows[column]) for column in self.columns]
        return np.stack(labels, axis=1) if self.targets else labels[0]

    def labels(self, targets: pd.Series) -> np.ndarray:
        """Return targets as models see them, [n_rows]: int8 of 0 and 1, int16 codes of classes, or float64.

        Raises ValueError for a class that is not one of `classes`.
        """
        if self.kind != "multiclass":
            return targets.to_numpy(dtype="int8" if self.kind == "binary" else "float64")
        codes = {name: code for code, name in enumerate(self.classes)}
        if unknown := sorted(set(targets.unique()) - codes.keys()):
            raise ValueError(f"the classes {unknown} are none of the model's, {list(self.classes)}")
        return targets.map(codes).to_numpy(dtype="int16")

    def unit(self, answers: np.ndarray) -> float:
        """Return what a difference of answers is large or small against: 1 for probabilities, the numbers' spread."""
        if self.kind != "regression" or len(answers) == 0:
            return 1.0
        spread, largest = float(np.ptp(answers)), float(np.abs(answers).max())
        # Far from zero the last digit of a double may be a share of a tiny spread, and it rounds here and there.
        return max(spread, DIGITS * float(np.spacing(largest))) if spread else largest or 1.0

    def summary_of(self, rows: pd.DataFrame) -> dict[str, float]:
        """Sum up the targets of rows: one as `summary` does, and of several what that of each begins with."""
        if not self.targets:
            return self.summary(rows[TARGET])
        shares = zip(self.targets, self.columns, strict=True)
        return {f"share of {name}": next(iter(self.summary(rows[column]).values())) for name, column in shares}

    def summary(self, targets: pd.Series) -> dict[str, float]:
        """Sum up targets in a few figures: the share of the positive or of each class, or where the numbers lie."""
        if self.kind == "binary":
            return {"share positive": float(targets.mean())}
        if self.kind == "multiclass":
            shares = targets.value_counts(normalize=True)
            return {f"share of {name}": float(shares.get(name, 0.0)) for name in self.classes}
        return {
            "mean": float(targets.mean()),
            "standard deviation": float(targets.std(ddof=0)),
            "least": float(targets.min()),
            "greatest": float(targets.max()),
        }


BINARY = Task()
