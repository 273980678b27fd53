"""The table of a reproduction: a row for each asset, with the verdict of its comparison."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dagster_project.results.comparison import Verdict, compare_results
from dagster_project.results.diff import changed_coordinates
from dagster_project.results.reproduction.environment import differences
from dagster_project.results.reproduction.plan import ReproduceError, stage
from dagster_project.results.reproduction.scratch import Remade, Scratch
from resources.ledger import Ledger
from resources.storage import StorageError, Stored, storage

ROWS_TO_SCORE = 5000


@dataclass(frozen=True)
class Row:
    """One asset of a reproduction."""

    asset: str
    coordinates: str
    verdict: Verdict
    changed: tuple[str, ...] = ()


def copy_snapshot(ledger: Ledger, identity: str, scratch: Scratch) -> tuple[Remade, Row]:
    """Copy a recorded snapshot into the scratch home, and return it there with the verdict on its hash."""
    asset, stored = ledger.records[identity]["run"]["asset"], Stored(**ledger.records[identity]["result"])
    copied = scratch.storage.save(asset, _load(asset, stored))
    same = Verdict("identical", "snapshot")
    verdict = same if copied.hash == stored.hash else Verdict("different", "the snapshot's values have another hash")
    return Remade(identity, copied), Row(asset, identity, verdict)


def compare(ledger: Ledger, identity: str, remade: Remade, scratch: Scratch) -> Row:
    """Compare a recorded result with the one that a run has made again, as exactly as its families promise."""
    record = ledger.records[identity]
    asset, stored = record["run"]["asset"], Stored(**record["result"])
    if stored.hash == remade.stored.hash:
        return Row(asset, identity, Verdict("identical"))
    again = scratch.storage.load(remade.stored)
    verdict = compare_results(_load(asset, stored), again, **_allowances(ledger, identity))
    changed = changed_coordinates(ledger.get(identity), scratch.ledger().get(remade.coordinates))
    return Row(asset, identity, verdict, tuple(changed))


def _load(asset: str, stored: Stored) -> Any:
    """Return a stored value of this home; raise ReproduceError, which names its asset, if it is missing or damaged."""
    try:
        return storage().load(stored)
    except StorageError as error:
        snapshot = "; that helps if its source still has the same content, else take it from a backup"
        raise ReproduceError(f"{asset}: {error}{snapshot if '/raw/' in asset else ''}") from error


def _allowances(ledger: Ledger, identity: str) -> dict[str, Any]:
    """Return the tolerance that the config states for a result's families, and the rows to compare models on.

    Both are left out where no family states one: the results must be the same then.
    """
    chain = {stage(ledger.records[source]): source for source in ledger.in_order(identity)}
    families = ledger.get(identity)["config"]["value"]["models"]
    stated = [families[name].get("tolerance", 0) for name in families if families[name] and f"models/{name}" in chain]
    if not any(stated):
        return {}
    matrix = ledger.records[chain["features/development"]]
    rows = _load(matrix["run"]["asset"], Stored(**matrix["result"])).head(ROWS_TO_SCORE)
    return {"tolerance": max(stated), "rows": rows}


def explanation(ledger: Ledger, rows: Sequence[Row]) -> str | None:
    """Return a sentence about the first asset that differs, and the coordinates that explain it; None if none does."""
    first = next((row for row in rows if row.verdict.word == "different"), None)
    if first is None:
        return None
    why = f"its {', '.join(first.changed)} differ" if first.changed else "though every coordinate is the recorded one"
    details = differences(ledger.get(first.coordinates)["environment"]) if "environment" in first.changed else []
    return f"{first.asset} is the first that differs: {'; '.join([why, *details[:5]])}"


def as_text(rows: Sequence[Row]) -> str:
    """Return the rows as a table for a terminal."""
    lines = [f"{row.verdict.word:<10} {row.asset:<44} {row.coordinates}  {row.verdict.detail}" for row in rows]
    return "\n".join(line.rstrip() for line in lines)


def as_json(rows: Sequence[Row]) -> str:
    """Return the rows as a JSON array of objects."""
    entries = [
        {"asset": row.asset, "coordinates": row.coordinates, "verdict": row.verdict.word, "detail": row.verdict.detail}
        for row in rows
    ]
    return json.dumps(entries, indent=1)
