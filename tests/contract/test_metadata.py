"""The metadata that a materialization of each asset carries: what people read in the UI, and tools by name."""

from functools import reduce
from pathlib import Path

import dagster as dg
import pytest

from tests.support.snapshot import check_snapshot


@pytest.mark.slow
def test_metadata_of_each_asset(first: Path) -> None:
    with dg.DagsterInstance.from_config(str(first / "home" / "dagster")) as instance:
        names = {"/".join(key.path[1:]): metadata_names(instance, key) for key in instance.all_asset_keys()}
    common = reduce(set.intersection, names.values())

    of_one = {asset: sorted(names[asset] - common) for asset in sorted(names)}
    check_snapshot("metadata", {"every asset": sorted(common), **of_one})


def metadata_names(instance: dg.DagsterInstance, asset: dg.AssetKey) -> set[str]:
    event = instance.get_latest_materialization_event(asset)
    assert event is not None
    assert event.asset_materialization is not None
    return set(event.asset_materialization.metadata)
