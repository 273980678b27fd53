"""Finds the coordinates of a result."""

import re
from pathlib import Path
from typing import Any

from ml.base.hashing import hash_bytes
from resources.home import home
from resources.ledger import Ledger, LedgerError
from resources.storage import Stored
from resources.tracking.tracker import Tracker

_MLFLOW_RUN = re.compile(r"(?:^|/runs/)([0-9a-f]{32})(?:$|[/?#])")
ALLOWED = (
    "a coordinates id, an asset key such as flight_delays/evaluation, an MLflow run's id or URL, a model such as "
    "flight_delays@champion or flight_delays:1, a Bento tag such as flight_delays:1-0123456789abcdef, or a file: "
    "report (.html, .json), plot (.png), model (.onnx) or table (.parquet)"
)


class NotFoundError(LookupError):
    """Nothing of this name has coordinates here."""


def locate(thing: str, tracking: Tracker, ledger: Ledger | None = None) -> dict[str, Any]:
    """Return the coordinates of a thing, whole, with the stored `result` that they belong to.

    Raises NotFoundError, which lists what is allowed, or says what is wrong with a file.
    """
    ledger = ledger or Ledger()
    identity = _identity(thing, tracking, ledger)
    if identity is None:
        raise NotFoundError(f"nothing called {thing!r} has coordinates in {home()}; allowed: {ALLOWED}")
    try:
        return ledger.get(identity)
    except LedgerError as error:
        raise NotFoundError(f"{thing!r} was made in another Sextant home: {error}") from error


def _identity(thing: str, tracking: Tracker, ledger: Ledger) -> str | None:
    if Path(thing).is_file():
        return _of_file(Path(thing), ledger)
    if thing in ledger.records:
        return thing
    if run := _MLFLOW_RUN.search(thing):
        return ledger.latest(mlflow=run[1])
    if "@" in thing:
        return _of_alias(thing, tracking, ledger)
    if ":" in thing:
        return ledger.latest(bento=thing) or _of_model(thing, ledger)
    return ledger.latest_of(thing)


def _of_file(file: Path, ledger: Ledger) -> str | None:
    """Return the id by the file's own hash, else by its stamp; raise NotFoundError if it was edited since."""
    from ml.provenance.stamp import read_stamp

    stored = ledger.latest(digest=hash_bytes(file.read_bytes()))
    if stored is not None:
        return stored
    stamp = read_stamp(file)
    if stamp is not None and stamp.intact is False:
        raise NotFoundError(
            f"{file} says that it has the coordinates {stamp.coordinates}, but it was edited since: its content does "
            "not match the hash in it. Take the original, or ask for those coordinates themselves"
        )
    return stamp.coordinates if stamp else None


def _of_alias(thing: str, tracking: Tracker, ledger: Ledger) -> str | None:
    name, _, alias = thing.partition("@")
    version = tracking.version(name, alias)
    return _of_model(f"{name}:{version}", ledger) if version else None


def _of_model(thing: str, ledger: Ledger) -> str | None:
    """Return the coordinates of the ONNX model that was registered as this version."""
    promotion = ledger.latest(model=thing)
    return str(ledger.records[promotion]["data"]["onnx_model"]["coordinates"]) if promotion else None


def as_text(record: dict[str, Any], tracking: Tracker, ledger: Ledger) -> str:
    """Return located coordinates for a terminal: a line for each part, then what they were made from and used by."""
    code, environment, run = record["code"], record["environment"], record["run"]
    pages = tracking.dagster_links(run["dagster"], run["asset"])
    names = {"model": _model_of(record["id"], ledger), **record["labels"]}
    lines = {
        "id": record["id"],
        "asset": run["asset"] + "".join(f", {name} {label}" for name, label in names.items() if label),
        "made at": record["made_at"][:19].replace("T", " ") + " UTC",
        "data": ", ".join(f"{name} {loaded['hash'][:12]}" for name, loaded in record["data"].items()) or "its source",
        "code": f"source {code['source'][:12]}, commit {str(code['commit'])[:12]}{' (dirty)' if code['dirty'] else ''}",
        "config": record["config"]["hash"][:12],
        "environment": f"{environment['id']}: Python {environment['python']}, {environment['processor']}, "
        f"{len(environment['distributions'])} distributions"
        + (f", on {environment['device']}" if "device" in environment else ""),
        "run": f"Dagster {run['dagster']}, MLflow {run['mlflow']}",
        "seed": str(record["seed"]),
        "result": ", ".join(file.path for file in Stored(**record["result"]).files),
        "links": "  ".join(pages),
    }
    text = [f"{name:<12} {value}" for name, value in lines.items()]
    chain = [
        f"  {'  ' * (depth - 1)}{_short(identity, source)}" for depth, identity, source in ledger.upstream(record["id"])
    ]
    users = [f"  {_short(identity, user)}" for identity, user in ledger.dependents(record["id"])]
    text += ["made from", *chain] if chain else []
    text += ["used by", *users] if users else []
    return "\n".join(text)


def _short(identity: str, record: dict[str, Any]) -> str:
    return f"{identity}  {record['run']['asset']}  {record['result']['hash'][:12]}  {record['made_at'][:16]}"


def _model_of(identity: str, ledger: Ledger) -> str:
    """Return the registered version that is this ONNX model, or an empty text."""
    for _, record in ledger.dependents(identity):
        if "model" in record["labels"] and record["data"].get("onnx_model", {}).get("coordinates") == identity:
            return str(record["labels"]["model"])
    return ""
