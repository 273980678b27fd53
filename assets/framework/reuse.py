"""Reuse: a result whose data, code, config, environment and seed are those of a stored one is taken from there."""

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg

from assets.framework.case import Case
from assets.framework.recipe import Recipe
from ml.base.hashing import hash_json
from ml.provenance.coordinates import environment_coordinate
from ml.provenance.source import running
from resources.bentos import BentoStore
from resources.ledger import Ledger, LedgerError
from resources.storage import METADATA, Storage, StorageError, Stored
from resources.tracking.tracker import Tracker

REUSE_KEY, SHOW_KEY = "reuse_key", "show_key"
LOOKED_AT = 50  # earlier materializations


def reuse_key(recipe: Recipe, case: Case, inputs: Mapping[str, Stored], device: str | None, tracking: Tracker) -> str:
    """Return the hash of everything that decides a result."""
    outside = {"outside": recipe.outside(case.name, tracking, inputs)} if recipe.outside else {}
    return hash_json(
        {
            "asset": recipe.key.to_user_string(),
            "inputs": {argument: stored.hash for argument, stored in inputs.items()},
            "code": running().hash(*recipe.roots),
            "config": recipe.reads.decide(case.spec.resolved()),
            "seed": case.spec.seed,
            "environment": environment_coordinate(device)["id"],
            **outside,
        }
    )


def show_key(recipe: Recipe, case: Case, inputs: Mapping[str, Stored], tracking: Tracker) -> str | None:
    """Return the hash of what decides how a result is shown; None where that is decided with the result."""
    showing = recipe.showing
    if showing is None:
        return None
    outside = showing.outside(case.name, tracking, inputs) if showing.outside else None
    declared = showing.reads.decide(case.spec.resolved())
    return hash_json({"config": declared, "code": running().hash(*showing.code), "outside": outside})


def reusable(
    context: dg.AssetExecutionContext, recipe: Recipe, key: str, storage: Storage, bentos: BentoStore | None
) -> Mapping[str, Any] | None:
    """Return the metadata of the latest materialization that this one would repeat, and whose files are whole."""
    ledger = Ledger()
    for metadata in _earlier(context, recipe.key, key):
        stored = Stored(**metadata[METADATA].value)
        try:
            for version in (stored, *ledger.attached(str(metadata["coordinates id"].value)).values()):
                storage.verify(version)
        except (StorageError, LedgerError) as error:
            context.log.warning(f"Made again: {error}")
            continue
        if recipe.usable is None or bentos is None or recipe.usable(bentos, storage.load(stored)):
            return metadata
    return None


def _earlier(context: dg.AssetExecutionContext, asset: dg.AssetKey, key: str) -> Iterator[dict[str, Any]]:
    """Yield the metadata of materializations with this reuse key, the latest first."""
    for record in context.instance.fetch_materializations(asset, limit=LOOKED_AT).records:
        metadata = dict(record.asset_materialization.metadata) if record.asset_materialization else {}
        if REUSE_KEY in metadata and metadata[REUSE_KEY].value == key:
            yield metadata
