"""The families of models that a use case can choose from, each imported when it is asked for."""

from ml.base.references import resolve
from ml.declaration.catalogue import entry
from ml.models.custom import custom_family
from ml.models.extras import missing_package
from ml.models.family import Family


def family(name: str) -> Family:
    """Return the family of this name, or the user's own at `package.module:Class`.

    Raises ValueError, which lists the allowed names, if there is none.
    """
    if ":" in name:
        return custom_family(name)
    built_in: Family = resolve(entry(name).place)()
    return built_in


def require_packages(name: str) -> None:
    """Raise ValueError, which says what to install, if a package that the family needs is not there."""
    chosen = family(name)
    required = chosen.requires if ":" in name else entry(name).requires
    if problems := [problem for package in required if (problem := missing_package(package))]:
        raise ValueError(f"The family {chosen.name!r} cannot run: {'; '.join(problems)}")
