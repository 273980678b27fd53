"""The component `UseCase`: configs/<use_case>/defs.yaml as Dagster definitions."""

from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster.components.resolved.scopes import EnvScope

from assets.framework.case import Case
from assets.graph import all_assets
from dagster_project.location.automation import automation
from dagster_project.location.scaffolding import UseCaseScaffolder
from ml.declaration.use_case import UseCaseSpec


class _Environment(EnvScope):
    """An environment whose `env.X` raises if X is not set, as `env('X')` does; Dagster's own gives None."""

    def __getattr__(self, key: str) -> Any:
        return super().__getattr__(key) if key.startswith("jinja") else self(key)


@dg.scaffold_with(UseCaseScaffolder)
class UseCase(UseCaseSpec, dg.Component):
    """One prediction problem, declared in YAML."""

    @classmethod
    def get_model_cls(cls) -> type["UseCase"]:
        """Return the class itself: so every mistake of a declaration is reported at its own line."""
        return cls

    @classmethod
    def load(cls, attributes: Any, context: dg.ComponentLoadContext) -> "UseCase":
        """Resolve templates such as `{{ env.X }}` and check the values again."""
        values: Mapping[str, Any] = attributes.model_dump(exclude_unset=True)
        return cls.model_validate(context.resolution_context.with_scope(env=_Environment()).resolve_value(values))

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Build all assets, checks, jobs, schedules and sensors of the use case named after the folder."""
        return definitions_of(Case(context.path.name, self))


def definitions_of(case: Case) -> dg.Definitions:
    """Return the assets and the automation of a use case."""
    return dg.Definitions.merge(dg.Definitions(assets=all_assets(case)), automation(case))
