"""Loads each folder of configs/ on its own, so that a broken use case is visible and harms no other."""

import os
from pathlib import Path

import dagster as dg
from dagster.components.core.component_tree import ComponentTreeException

VALIDATING = "DAGSTER_IS_DEFS_VALIDATION_CLI"  # set by `dg check defs` and `dagster definitions validate`


def load_use_cases(configs: Path) -> dg.Definitions:
    """The definitions of every use case; a broken one is an asset that carries its error.

    While definitions are being validated, a broken use case raises instead.
    """
    loaded = []
    for folder in sorted(path.parent for path in configs.glob("*/defs.yaml")):
        try:
            loaded.append(_load(folder, configs.parent))
        except Exception as error:
            if os.environ.get(VALIDATING):
                raise
            loaded.append(dg.Definitions(assets=[_broken(folder.name, _cause(error))]))
    return dg.Definitions.merge(*loaded)


def _load(folder: Path, root: Path) -> dg.Definitions:
    tree = dg.ComponentTree.for_project(root)
    return tree.build_defs(folder)


def _cause(error: BaseException) -> BaseException:
    """The error beneath Dagster's picture of the component tree; it names file, line and field."""
    while isinstance(error, ComponentTreeException) and error.__cause__ is not None:
        error = error.__cause__
    return error


def _broken(name: str, error: BaseException) -> dg.AssetsDefinition:
    @dg.asset(key=[name, "broken"], group_name="broken", description=f"configs/{name}/defs.yaml: {error}")
    def broken() -> None:
        raise dg.Failure(f"the use case {name!r} could not be loaded: {error}")

    return broken
