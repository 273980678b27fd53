"""Metrics with a number in their name."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ml.base.text import plain

if TYPE_CHECKING:
    from ml.tasks.metrics import Metric


@dataclass(frozen=True)
class Numbered:
    """Metrics with a number in their name, such as `pinball_0.9`: `form` has braces where it stands.

    There is one for each number that `allows` lets pass, which `numbers` says in words; `of` makes it.
    """

    form: str
    example: float
    numbers: str
    allows: Callable[[float], bool]
    of: Callable[[str, float], Metric]

    def named(self, name: str) -> Metric | None:
        """Return the metric of this name; None for a name of another form. Raises ValueError for a wrong number."""
        before, _, after = self.form.partition("{}")
        match = re.fullmatch(f"{before}(.+){after}", name)
        if match is None:
            return None
        try:
            number = float(match[1])
        except ValueError:
            number = math.nan
        if match[1] != plain(number) or not self.allows(number):
            raise ValueError(f"There is no metric {name!r}: {self.form.format('…')} takes {self.numbers}.")
        return self.of(name, number)

    @property
    def sample(self) -> Metric:
        """One of them, with the number of the `example`."""
        return self.of(self.form.format(plain(self.example)), self.example)
