"""Finds the coordinates of a result."""

import re
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ml.base.hashing import hash_bytes
from resources.home import home
from resources.ledger import Ledger
from resources.storage import Stored, storage
from resources.tracking.tracker import Tracker

_MLFLOW_RUN = re.compile(r"(?:^|/runs/)([0-9a-f]{32})(?:$|[/?#])")
SHOWN = 8  # names that may have been meant
ALLOWED = (
    "a coordinates id, an asset key such as flight_delays/evaluation, an MLflow run's id or URL, a model such as "
    "flight_delays@champion or flight_delays:1, a Bento tag such as flight_delays:1-0123456789abcdef, or a file: "
    "report (.html, .json), plot (.png), model (.onnx) or table (.parquet)"
)


class NotFoundError(LookupError):
    """Nothing of this name has coordinates here."""


def locate(thing: str, tracking: Tracker, ledger: Ledger | None = None) -> dict[str, Any]:
    """Return the coordinates of a thing, whole, with the stored `result` that they belong to.

    A file of the storage belongs to the asset that it was stored for; `same_bytes` are the ids of all other results
    that have a file with the bytes of this one. Raises NotFoundError, which lists what is allowed, or says what is
    wrong with a file.
    """
    ledger = ledger or Ledger()
    identities = _identities(thing, tracking, ledger)
    if not identities:
        raise NotFoundError(
            f"nothing called {thing!r} has coordinates in {home()}{_meant(thing, ledger)}; allowed: {ALLOWED}"
        )
    identity, *others = identities
    if identity not in ledger.records:
        raise NotFoundError(
            f"{thing!r} has the coordinates {identity}, of which {ledger.folder} knows nothing: it was made in another "
            "Sextant home, or its file there is lost"
        )
    return {**ledger.get(identity), "same_bytes": others}


def _meant(thing: str, ledger: Ledger) -> str:
    """Return words about what was meant: what is known and begins like the thing, or is written nearly so."""
    if Path(thing).is_dir():
        return f", for {thing} is a folder: name a file in it"
    labels = [record["labels"] for record in ledger.records.values()]
    models = {label["model"] for label in labels if "model" in label}
    assets = {record["run"]["asset"] for record in ledger.records.values()}
    cases = {f"{asset.partition('/')[0]}@champion" for asset in assets}
    known = sorted(
        {*ledger.records, *assets, *cases, *models, *(label["bento"] for label in labels if "bento" in label)}
    )
    begun = [name for name in known if thing and re.match(rf"{re.escape(thing.rstrip('/'))}[/@:]", name)]
    near = (begun or get_close_matches(thing, known, SHOWN))[:SHOWN]
    return f"; did you mean {', '.join(near)}?" if near else ""


def _identities(thing: str, tracking: Tracker, ledger: Ledger) -> list[str]:
    if Path(thing).is_file():
        return _of_file(Path(thing), ledger)
    if stored := ledger.with_file(path=thing.removeprefix(f"{storage().base()}/")):
        return stored
    identity = _of_name(thing, tracking, ledger)
    return [identity] if identity else []


def _of_name(thing: str, tracking: Tracker, ledger: Ledger) -> str | None:
    if thing in ledger.records:
        return thing
    if run := _MLFLOW_RUN.search(thing):
        return ledger.latest(mlflow=run[1])
    if "@" in thing:
        name, _, alias = thing.partition("@")
        version = tracking.version(name, alias)
        return _of_version(name, version, tracking, ledger) if version else None
    if ":" in thing:
        name, _, version = thing.partition(":")
        return ledger.latest(bento=thing) or _of_version(name, version, tracking, ledger)
    return ledger.latest_of(thing)


def _of_file(file: Path, ledger: Ledger) -> list[str]:
    """Return the ids by the file's path in the storage, then by its bytes, else by its stamp.

    Raises NotFoundError if it is not what was stored at its path, or was edited since it was stamped.
    """
    from ml.provenance.stamp import read_stamp

    base, place = Path(storage().base()).resolve(), file.resolve()
    at_path = ledger.with_file(path=str(place.relative_to(base))) if place.is_relative_to(base) else []
    equal = ledger.with_file(digest=hash_bytes(file.read_bytes()))
    if at_path and at_path[0] not in equal:
        asset = ledger.records[at_path[0]]["run"]["asset"]
        raise NotFoundError(
            f"{file} is damaged: a result of {asset}, {at_path[0]}, was stored there, and its SHA-256 is another one; "
            f"materialize {asset} again, or ask for those coordinates themselves"
        )
    if equal:
        return list(dict.fromkeys([*at_path, *equal]))
    stamp = read_stamp(file)
    if stamp is not None and stamp.intact is False:
        raise NotFoundError(
            f"{file} says that it has the coordinates {stamp.coordinates}, but it was edited since: its content does "
            "not match the hash in it. Take the original, or ask for those coordinates themselves"
        )
    return [stamp.coordinates] if stamp else []


def _of_version(name: str, version: str, tracking: Tracker, ledger: Ledger) -> str | None:
    """Return the coordinates of the ONNX model that was registered as this version, promoted or not."""
    if registered := tracking.coordinates(name, version):
        return registered
    promotion = ledger.latest(model=f"{name}:{version}")  # of a version that was deleted since
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
        "data": ", ".join(f"{name} {_version(loaded)}" for name, loaded in record["data"].items()) or "its source",
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
    equal = [f"  {_short(identity, ledger.records[identity])}" for identity in record.get("same_bytes", [])]
    text += ["the same bytes", *equal] if equal else []
    text += ["made from", *chain] if chain else []
    text += ["used by", *users] if users else []
    return "\n".join(text)


def _version(loaded: dict[str, Any]) -> str:
    """Return what was loaded in short: the beginning of a hash, or the version of what lies outside, whole."""
    return str(loaded["hash"][:12] if loaded["coordinates"] else loaded["hash"])


def _short(identity: str, record: dict[str, Any]) -> str:
    return f"{identity}  {record['run']['asset']}  {record['result']['hash'][:12]}  {record['made_at'][:16]}"


def _model_of(identity: str, ledger: Ledger) -> str:
    """Return the registered version that is this ONNX model, or an empty text."""
    for _, record in ledger.dependents(identity):
        if "model" in record["labels"] and record["data"].get("onnx_model", {}).get("coordinates") == identity:
            return str(record["labels"]["model"])
    return ""
