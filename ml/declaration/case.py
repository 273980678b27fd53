"""A use case: its name and what it declares."""

from dataclasses import dataclass, replace
from typing import Self

from ml.declaration.reads import Reads, view
from ml.declaration.use_case import UseCaseSpec


@dataclass(frozen=True)
class Case:
    """A use case: its name, which is the folder's, and what it declares."""

    name: str
    spec: UseCaseSpec

    def only(self, reads: Reads) -> Self:
        """Return the use case with only those parts of its declaration; any other raises UnreadPartError."""
        return replace(self, spec=view(self.spec, reads))
