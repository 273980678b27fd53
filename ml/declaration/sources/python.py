"""A source that is a function of the user's own."""

from __future__ import annotations

import re
from collections.abc import Callable

from pydantic import Field, field_validator

from ml.base.references import resolve
from ml.base.sql import DataError
from ml.declaration.sources.kind import TableSource


class PythonSource(TableSource):
    """A function that returns the table."""

    keys = ("python",)

    python: str = Field(description="A callable `package.module:function` that returns a DataFrame or an Arrow table.")

    @field_validator("python")
    @classmethod
    def _check_reference(cls, text: str) -> str:
        if not re.match(r"^[\w.]+:\w+$", text):
            raise ValueError(f"python must look like package.module:function, given: {text!r}")
        return text

    @property
    def module(self) -> str:
        return self.python.partition(":")[0]

    def read(self) -> object:
        """Call the function. Raises DataError if it cannot be imported."""
        return self._function()()

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
