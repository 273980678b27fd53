"""A new use case: its draft is written as a whole or not at all, and is one that loads."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import ValidationError

from ml.base.files import write_whole
from ml.base.sql import DataError
from ml.declaration.use_case import UseCaseSpec
from ml.draft.declaration import Draft, NoTargetError, draft


class DraftError(ValueError):
    """A use case that cannot be drafted; says why, and what to do."""


def write_draft(
    name: str, files: Sequence[str], target: str | None, configs: Path, ask: Callable[[list[str]], str | None]
) -> Draft:
    """Write configs/<name>/defs.yaml from files; `ask` is called with likely targets where none is named.

    Raises DraftError for a name that is none or taken, files that cannot be read, and a target that will not do.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise DraftError(f"{name!r} is no name of a use case: write small letters, digits and _, a letter first")
    place = configs / name / "defs.yaml"
    if place.exists():
        raise DraftError(f"configs/{name}/defs.yaml exists already; choose another name, or delete it")
    if not configs.is_dir():
        raise DraftError(f"there is no folder configs in {configs.parent}: start Sextant where the project lies")
    try:
        try:
            drafted = draft(name, files, target)
        except NoTargetError as error:
            if (answer := ask(error.likely)) is None:
                raise
            drafted = draft(name, files, answer)
        UseCaseSpec.model_validate(drafted.attributes)
    except ValidationError as error:
        reasons = "; ".join(
            f"{'.'.join(map(str, reason['loc'])) or 'attributes'}: {reason['msg'].removeprefix('Value error, ')}"
            for reason in error.errors()
        )
        raise DraftError(f"the draft of {', '.join(files)} does not hold: {reasons}") from error
    except DataError as error:
        raise DraftError(str(error)) from error
    write_whole(place, drafted.text.encode())
    return drafted
