"""Makes a result again from what was recorded of it, and compares."""

import sys
from collections.abc import Callable
from pathlib import Path

from dagster_project.results.reproduction.plan import plan, runs, stage
from dagster_project.results.reproduction.rerun import materialize
from dagster_project.results.reproduction.rows import Row, compare, copy_snapshot
from dagster_project.results.reproduction.scratch import Remade, Scratch, present
from resources.ledger import Ledger

Say = Callable[[str], None]


def reproduce(ledger: Ledger, identity: str, folder: Path, say: Say, python: str = sys.executable) -> list[Row]:
    """Run everything again in `folder` from archived source, snapshots and config, and compare asset by asset.

    Returns a row for each asset, those of the snapshots first. Raises ReproduceError if something that is needed is
    missing, or a run fails.
    """
    scratch, ids = Scratch(folder), plan(ledger, identity)
    remade, rows = dict[str, Remade](), list[Row]()
    for snapshot in (source for source in ids if stage(ledger.records[source]).startswith("raw/")):
        remade[snapshot], row = copy_snapshot(ledger, snapshot, scratch)
        rows.append(row)
    with scratch.instance() as instance:
        for run in runs(ledger, [source for source in ids if source not in remade]):
            assets = [str(ledger.records[source]["run"]["asset"]) for source in run.makes]
            say(f"making {', '.join(asset.partition('/')[2] for asset in assets)}")
            for asset, version in run.knows.items():
                if version not in run.makes:
                    present(instance, asset, remade[version])
            materialize(ledger, ledger.get(run.makes[0]), assets, scratch, python)
            remade |= {source: scratch.latest(asset) for source, asset in zip(run.makes, assets, strict=True)}
            rows += [compare(ledger, source, remade[source], scratch) for source in run.makes]
    return rows
