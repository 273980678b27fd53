"""Finds the coordinates of a result."""

import json
from typing import Any

import dagster as dg

from resources.bentos import BentoStore
from resources.home import home
from resources.tracking import Tracking


class NotFoundError(LookupError):
    """Nothing of this name has coordinates here."""


def locate(thing: str, tracking: Tracking) -> dict[str, Any]:
    """The coordinates of a coordinates id, asset key (`case/models/lightgbm`), MLflow run id, model version
    (`case@champion`, `case:3`) or Bento tag.

    Raises NotFoundError that lists what is allowed.
    """
    identifier = _identifier(thing, tracking)
    path = home() / "coordinates" / f"{identifier}.json"
    if identifier is None or not path.exists():
        raise NotFoundError(
            f"nothing called {thing!r} has coordinates in {home()}; allowed: a coordinates id, an asset key such as "
            "flight_delays/evaluation, an MLflow run id, a model such as flight_delays@champion or flight_delays:1, "
            "or a Bento tag such as flight_delays:1-0123456789abcdef"
        )
    return dict(json.loads(path.read_text()))


def _identifier(thing: str, tracking: Tracking) -> str | None:
    if (home() / "coordinates" / f"{thing}.json").exists():
        return thing
    if "@" in thing or ":" in thing:
        return _of_bento(thing) or _of_version(thing, tracking)
    if "/" in thing:
        return _of_asset(thing)
    return _of_run(thing, tracking)


def _of_asset(key: str) -> str | None:
    event = dg.DagsterInstance.get().get_latest_materialization_event(dg.AssetKey(key.split("/")))
    made = event.asset_materialization if event else None
    found = made.metadata.get("coordinates id") if made else None
    return str(found.value) if found else None


def _of_bento(tag: str) -> str | None:
    if not BentoStore().has(tag):
        return None
    import yaml

    file = BentoStore().folder() / "bentos" / tag.replace(":", "/") / "bento.yaml"
    return str(yaml.safe_load(file.read_text())["labels"]["coordinates"])


def _of_version(thing: str, tracking: Tracking) -> str | None:
    from mlflow.exceptions import MlflowException

    name, mark, which = thing.partition("@" if "@" in thing else ":")
    client = tracking.client()
    try:
        version = (
            client.get_model_version_by_alias(name, which) if mark == "@" else client.get_model_version(name, which)
        )
    except MlflowException:
        return None
    return version.tags.get("sextant.coordinates")


def _of_run(run_id: str, tracking: Tracking) -> str | None:
    from mlflow.exceptions import MlflowException

    try:
        tags: dict[str, str] = tracking.client().get_run(run_id).data.tags
    except MlflowException:
        return None
    return tags.get("sextant.coordinates")
