"""References of a declaration, `package.module:name`, to code of the user's own."""

from importlib import import_module
from operator import attrgetter
from typing import Any


def resolve(reference: str) -> Any:
    """Return the object that `package.module:name` names, or None if the module has nothing of that name.

    The name of what a class holds is `Outer.Inner`.

    Raises ValueError that says what to do if there is no such module.
    """
    module, _, name = reference.partition(":")
    try:
        imported = import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        raise ValueError(
            f"{reference!r}: there is no module {error.name!r}. Put it into a package of the project, such as "
            "configs/<use_case>, install it, or set PYTHONPATH."
        ) from error
    try:
        return attrgetter(name)(imported)
    except AttributeError:
        return None
