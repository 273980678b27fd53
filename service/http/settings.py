"""The names of all settings of a service, by which a slip in one is noticed before it does harm."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

from service.history import places
from service.http import access, keys, limits, request_log, rollout
from service.http.limits import SettingError
from service.predictions.settings import NAMES as PREDICTIONS

PREFIX = "SEXTANT_"
BUNDLE, GRPC_PORT, READY_IN_SILENCE = "SEXTANT_BUNDLE", "SEXTANT_GRPC_PORT", "SEXTANT_READY_IN_SILENCE"
NAMES = {
    *limits.SETTINGS.values(),
    limits.WORKERS,
    keys.KEYS,
    keys.FILE,
    access.ORIGINS,
    access.OPEN_METRICS,
    rollout.FOLLOW,
    rollout.SHADOW,
    rollout.SPLIT,
    places.SETTING,
    request_log.SETTING,
    *PREDICTIONS.values(),
    BUNDLE,
    GRPC_PORT,
    READY_IN_SILENCE,
}
LIKE = 0.8  # of a name without its prefix: SERVICE_PORT, which Kubernetes sets, is less like GRPC_PORT


def check_names(environment: Mapping[str, str]) -> None:
    """Raise SettingError for a variable that is much like a setting, and none: a slip may open what a key should close.

    Other variables with the same prefix are not of a service: other commands read them, and Kubernetes sets some.
    """
    known = sorted(name.removeprefix(PREFIX) for name in NAMES)
    others = [name for name in sorted(environment) if name.startswith(PREFIX) and name not in NAMES]
    like = {
        name: get_close_matches(name.removeprefix(PREFIX), known, n=1, cutoff=LIKE)
        for name in others
        if environment[name]
    }
    if slips := [
        f"{name} is no setting of a service; is {PREFIX}{meant[0]} meant?" for name, meant in like.items() if meant
    ]:
        raise SettingError("; ".join(slips))


def given_names(environment: Mapping[str, str]) -> list[str]:
    """Return the names of the settings that the environment has, whose values may be secrets."""
    return sorted(name for name in NAMES if environment.get(name))
