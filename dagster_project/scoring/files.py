"""Files: those that a pattern matches, and what the names of their folders tell."""

from contextlib import suppress
from pathlib import Path
from typing import Any

from ml.base.sql import DataError
from ml.declaration.sources.formats.places import folder_values, places_like
from service.plan.document import Plan
from service.plan.parts import ColumnType

STDIN = "-"
_WILD = frozenset("*?[")


class PatternError(ValueError):
    """A pattern that no file matches."""


def matching(file: str) -> list[str]:
    """Return the files that a pattern matches, in their order; of a file itself that alone. Raises PatternError."""
    if file == STDIN or not _WILD & set(file) or Path(file).exists():
        return [file]
    try:
        places = places_like(file)
    except DataError as error:
        raise PatternError(f"no file matches {file}") from error
    return [place.path if place.is_local else str(place.fs.unstrip_protocol(place.path)) for place in places]


def told_by_folders(file: str, plan: Plan) -> dict[str, Any]:
    """Return the values of a record's columns that folders tell by names such as year=2024, as Hive writes them."""
    told = {name: text for name, text in folder_values(file).items() if name in plan.record}
    return {name: None if text is None else _value(text, plan.record[name]) for name, text in told.items()}


def _value(text: str, kind: ColumnType) -> Any:
    """Return what a text means in a column of a kind; one that means nothing stays, for the service to refuse."""
    if kind == "flag":
        return {"true": True, "false": False}.get(text.lower(), text)
    if kind != "number":
        return text
    with suppress(ValueError):
        return int(text)
    with suppress(ValueError):
        return float(text)
    return text
