"""What a run may ask of `production_model`: to approve a waiting candidate, or to go back to an older version."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg

FIELDS = {
    "approve": dg.Field(str, is_required=False, description="The version that waits as challenger and is approved."),
    "rollback": dg.Field(str, is_required=False, description="The older version that becomes the champion again."),
    "reason": dg.Field(str, is_required=False, description="Why: required with either; kept in the history."),
    "by": dg.Field(str, is_required=False, description="Who says so: required with either; kept in the history."),
}


@dataclass(frozen=True)
class Wish:
    """A decision of a person's: about which version, whose, and why."""

    version: str
    by: str
    reason: str


def wishes(given: Mapping[str, Any]) -> tuple[Wish | None, Wish | None]:
    """The approval or the rollback that a run's config asks for, if any.

    Raises dagster.Failure where it lacks a reason or a person, asks for both, or gives a reason for neither.
    """
    asked = [name for name in ("approve", "rollback") if given.get(name)]
    if not given:
        return None, None
    if len(asked) != 1:
        raise dg.Failure(f"nothing was moved: the run's config must name approve or rollback, given {sorted(given)}")
    if lacking := [name for name in ("reason", "by") if not str(given.get(name, "")).strip()]:
        raise dg.Failure(f"nothing was moved: {asked[0]} needs {' and '.join(lacking)}, not blank")
    wish = Wish(given[asked[0]], given["by"].strip(), given["reason"].strip())
    return (wish, None) if asked == ["approve"] else (None, wish)
