"""The component `UseCase`: configs/<use_case>/defs.yaml as Dagster definitions."""

import os
import sys
from typing import Any

import dagster as dg
from pydantic import ModelWrapValidatorHandler, ValidationError, model_validator

from assets.framework.case import Case
from assets.graph import all_assets
from dagster_project.location.automation import automation
from dagster_project.location.loading import VALIDATING
from dagster_project.location.scaffolding import UseCaseScaffolder
from dagster_project.location.templates import resolved, unresolved, with_variables
from ml.declaration.use_case import UseCaseSpec
from ml.examples.known import unused_past


@dg.scaffold_with(UseCaseScaffolder)
class UseCase(UseCaseSpec, dg.Component):
    """One prediction problem, declared in YAML."""

    @classmethod
    def get_model_cls(cls) -> type["UseCase"]:
        """Return the class itself: so every mistake of a declaration is reported at its own line."""
        return cls

    @classmethod
    def model_json_schema(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Return the schema that an editor and `dg check yaml` go by."""
        schema: dict[str, Any] = with_variables(super().model_json_schema(*args, **kwargs))
        return schema

    @model_validator(mode="wrap")
    @classmethod
    def _from_environment(cls, values: Any, handler: ModelWrapValidatorHandler["UseCase"]) -> "UseCase":
        """Replace `{{ env.NAME }}`, and nothing else: Dagster's own resolution would read each text as Python too."""
        replaced = resolved(values, os.environ)
        try:
            return handler(replaced)
        except ValidationError as error:
            raise unresolved(error, values, os.environ) from None

    @classmethod
    def load(cls, attributes: Any, context: dg.ComponentLoadContext) -> "UseCase":
        """Return the declaration, which is what it was read as."""
        return cls.model_validate(attributes or {})

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Build all assets, checks, jobs, schedules and sensors of the use case named after the folder."""
        if os.environ.get(VALIDATING) and (advice := unused_past(self)):
            print(f"configs/{context.path.name}/defs.yaml: {advice}", file=sys.stderr)
        return definitions_of(Case(context.path.name, self))


def definitions_of(case: Case) -> dg.Definitions:
    """Return the assets and the automation of a use case."""
    return dg.Definitions.merge(dg.Definitions(assets=all_assets(case)), automation(case))
