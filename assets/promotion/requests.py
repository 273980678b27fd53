"""Requests of a run to `production_model`: to approve a waiting candidate, or to go back to an older version."""

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
class Request:
    """A decision of a person's: about which version, whose, and why."""

    version: str
    by: str
    reason: str


def requests(config: Mapping[str, Any]) -> tuple[Request | None, Request | None]:
    """Return the approval and the rollback that a run's config asks for: one of the two, or neither.

    Raises dagster.Failure where it lacks a reason or a person, asks for both, or gives a reason for neither.
    """
    actions = [name for name in ("approve", "rollback") if config.get(name)]
    if not config:
        return None, None
    if len(actions) != 1:
        raise dg.Failure(f"nothing was moved: the run's config must name approve or rollback, given {sorted(config)}")
    if lacking := [name for name in ("reason", "by") if not str(config.get(name, "")).strip()]:
        raise dg.Failure(f"nothing was moved: {actions[0]} needs {' and '.join(lacking)}, not blank")
    request = Request(config[actions[0]], config["by"].strip(), config["reason"].strip())
    return (request, None) if actions == ["approve"] else (None, request)
