"""A source that is a function of the user's own."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from pydantic import Field, field_validator

from ml.base.references import resolve
from ml.base.sql import DataError
from ml.declaration.sources.kind import SourceKind

if TYPE_CHECKING:
    import pandas as pd


class PythonSource(SourceKind):
    """A function that returns the table."""

    keys = ("python",)

    python: str = Field(description="A callable `package.module:function` that returns a DataFrame.")

    @field_validator("python")
    @classmethod
    def _check_reference(cls, text: str) -> str:
        if not re.match(r"^[\w.]+:\w+$", text):
            raise ValueError(f"python must look like package.module:function, given: {text!r}")
        return text

    @property
    def module(self) -> str:
        return self.python.partition(":")[0]

    def read(self) -> pd.DataFrame:
        """Call the function. Raises DataError if it cannot be imported or returns anything but a DataFrame."""
        import pandas as pd

        frame = self._function()()
        if not isinstance(frame, pd.DataFrame):
            raise DataError(f"{self.python} returned {type(frame).__name__}; it must return a pandas DataFrame")
        return frame

    def _function(self) -> Callable[[], object]:
        try:
            function: Callable[[], object] | None = resolve(self.python)
        except (ImportError, ValueError) as error:
            raise DataError(f"the source's package.module:function cannot be imported: {error}") from error
        if function is None:
            raise DataError(
                f"the source {self.python!r} cannot be imported: the module has no such function; write "
                "package.module:function"
            )
        return function
