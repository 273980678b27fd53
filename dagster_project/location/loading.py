"""Loads each folder of configs/ on its own, so that a broken use case is visible and harms no other."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import dagster as dg
from dagster.components.core.component_tree import ComponentTreeException
from pydantic import ValidationError

from ml.declaration.use_case import UseCaseSpec
from ml.provenance.source import PARSED

VALIDATING = "DAGSTER_IS_DEFS_VALIDATION_CLI"  # set by `dg check defs` and `dagster definitions validate`

LONGEST = 80  # characters: a longer value is not repeated


class BrokenUseCaseError(ValueError):
    """A use case that cannot be loaded; says where the mistake is."""


def load_use_cases(configs: Path) -> dg.Definitions:
    """Return the definitions of every use case; a broken one is an asset that carries its error.

    While definitions are being validated, a broken use case raises instead.
    """
    loaded, broken = [], dict[str, str]()
    for folder in sorted(path.parent for path in configs.glob("*/defs.yaml")):
        try:
            loaded.append(load_use_case(folder))
        except BrokenUseCaseError as error:
            broken[folder.name] = str(error)
    if broken and os.environ.get(VALIDATING):
        raise dg.DagsterInvalidDefinitionError("\n".join(broken.values()))
    return dg.Definitions.merge(
        *loaded, dg.Definitions(assets=[_broken(name, error) for name, error in broken.items()])
    )


def load_use_case(folder: Path) -> dg.Definitions:
    """Return the definitions of one folder, without a look at those beside it; raises BrokenUseCaseError."""
    with _named(folder):
        module = import_module(f"{folder.parent.name}.{folder.name}")
        definitions = dg.ComponentTree.from_module(module, folder.parents[1]).build_defs(folder)
    PARSED.keep()
    return definitions


def load_declaration(folder: Path) -> UseCaseSpec:
    """Return the declaration of one folder; raises BrokenUseCaseError."""
    with _named(folder):
        module = import_module(f"{folder.parent.name}.{folder.name}")
        tree = dg.ComponentTree.from_module(module, folder.parents[1])
        declared: Any = tree.load_component(folder)
    assert isinstance(declared, UseCaseSpec), f"{folder} declares a use case"
    return declared


@contextmanager
def _named(folder: Path) -> Iterator[None]:
    """Name the use case in whatever stops the loading."""
    try:
        yield
    except Exception as error:  # whatever it is, it concerns this use case alone
        raise BrokenUseCaseError(
            f"configs/{folder.name}/defs.yaml cannot be loaded: {_message(_cause(error))}"
        ) from error


def _cause(error: BaseException) -> BaseException:
    """Return the error beneath Dagster's picture of the component tree; it names file, line and field."""
    while isinstance(error, ComponentTreeException) and error.__cause__ is not None:
        error = error.__cause__
    return error


def _message(error: BaseException) -> str:
    """Return each mistake of a declaration with its field, file and line, and any other error as it is."""
    if not isinstance(error, ValidationError):
        return str(error)
    mistakes = []
    for mistake in error.errors():
        value = repr(mistake["input"])
        given_value = f" (given: {value})" if len(value) < LONGEST else ""
        message = mistake["msg"].removeprefix("Value error, ")
        mistakes.append(f"{' '.join(map(str, mistake['loc']))}: {message}{given_value}")
    return "; ".join(mistakes)


def _broken(name: str, error: str) -> dg.AssetsDefinition:
    @dg.asset(key=[name, "broken"], group_name="broken", description=error)
    def broken() -> None:
        raise dg.Failure(error)

    return broken
