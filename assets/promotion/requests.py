"""Requests of a run to `production_model`: to approve a waiting candidate, go back, or be without a champion."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import dagster as dg

from resources.tracking.history import Standing

Action = Literal["approve", "rollback", "retire"]
ACTIONS: tuple[Action, ...] = ("approve", "rollback", "retire")
NO_CHAMPION, UNKNOWN = "none", "unknown"
SHORTEST = 12  # characters of a hash that name a model


def _text(description: str) -> dg.Field:
    return dg.Field(str, is_required=False, description=description)


FIELDS = {
    "approve": _text("The version that waits as challenger and is approved."),
    "rollback": _text("The older version that becomes the champion again."),
    "retire": _text("The version that shall be champion no longer; there is none then."),
    "champion": _text(
        "Which champion it was asked about: the hash of its model, or `none`. Required; refused if it is another now."
    ),
    "evaluation": _text("Of an approval: the coordinates id of the latest evaluation when it was asked."),
    "reason": _text("Why: required; kept in the history."),
    "by": _text("Who says so: required; kept in the history."),
}


@dataclass(frozen=True)
class Request:
    """A decision of a person's: about which version, beside which champion, whose, and why."""

    action: Action
    version: str
    champion: str
    evaluation: str
    by: str
    reason: str

    def require_champion(self, standing: Standing | None) -> None:
        """Raise dagster.Failure unless this is the champion that the request was about."""
        now = name_of(standing)
        if self.champion != now and not (len(self.champion) >= SHORTEST and now.startswith(self.champion)):
            is_now = f"version {standing.version} is, {now}" if standing else f"there is {NO_CHAMPION}"
            raise dg.Failure(
                f"nothing was moved: {self.action} was asked while {self.champion} was the champion, and now {is_now}; "
                "look at that, and ask again",
                allow_retries=False,
            )


def name_of(standing: Standing | None) -> str:
    """Return the text by which a request names the champion: the hash of its model, if there is one."""
    return (standing.model_hash or UNKNOWN) if standing else NO_CHAMPION


def request_of(config: Mapping[str, Any]) -> Request | None:
    """Return what a run's config asks for; None if it asks for nothing.

    Raises dagster.Failure where it asks for several things, gives a reason for none, or does not say all that it must.
    """
    actions = [action for action in ACTIONS if config.get(action)]
    if not config:
        return None
    if len(actions) != 1:
        raise dg.Failure(
            f"nothing was moved: the run's config must name approve or rollback or retire, given {sorted(config)}"
        )
    needed = ["reason", "by", "champion", *(["evaluation"] if actions == ["approve"] else [])]
    texts = {name: str(config.get(name, "")).strip() for name in (*needed, "evaluation")}
    if lacking := [name for name in needed if not texts[name]]:
        raise dg.Failure(f"nothing was moved: {actions[0]} needs {' and '.join(lacking)}, not blank")
    return Request(actions[0], config[actions[0]], **{name: texts[name] for name in sorted(texts)})
