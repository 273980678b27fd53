"""The scaffold of `dg scaffold defs dagster_project.components.UseCase <name>`."""

from importlib.resources import files
from typing import Any

import dagster as dg


class UseCaseScaffolder(dg.Scaffolder[Any]):
    """A writer of a commented declaration that is valid as it stands."""

    def scaffold(self, request: dg.ScaffoldRequest[Any]) -> None:
        """Write defs.yaml; raise ValueError where a declaration in Python is asked for."""
        if request.scaffold_format != "yaml":
            raise ValueError(f"a use case is declared in YAML, not in {request.scaffold_format!r}: leave --format out")
        text = files("dagster_project.location").joinpath("use_case.yaml").read_text()
        (request.target_path / "defs.yaml").write_text(text)
