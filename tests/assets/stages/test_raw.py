"""Snapshots: the version of a source that was read is a coordinate, and nothing is promoted of a sample."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from assets.promotion.requests import name_of
from dagster_project.results.locate import as_text, locate
from resources.ledger import Ledger
from resources.tracking.runs import tracking
from tests.support.dated import OTHER, PRODUCTION, Dated
from tests.support.small import Small, asked, failure

pytestmark = pytest.mark.filterwarnings("ignore")


def test_the_version_that_was_read_is_a_coordinate_of_the_snapshot(small: Small, tmp_path: Path) -> None:
    from deltalake import write_deltalake

    table = pa.Table.from_pandas(pd.read_csv(small.rows), preserve_index=False)
    write_deltalake(tmp_path / "delta", table.slice(0, 200))
    write_deltalake(tmp_path / "delta", table.slice(200), mode="append")
    tables = {"rows": {"source": {"delta": str(tmp_path / "delta")}, "key": "id"}}

    assert small.attempt("raw/rows", tables=tables).success

    located = locate("small/raw/rows", tracking())
    (loaded,) = located["data"].items()
    assert loaded == ("delta version", {"asset": str(tmp_path / "delta"), "hash": "1", "coordinates": ""})
    assert "delta version 1" in as_text(located, tracking(), Ledger())
    assert Ledger().in_order(located["id"]) == [located["id"]]


def test_what_is_made_of_a_sample_is_neither_promoted_nor_served(case: Dated) -> None:
    declared = case.declared()["tables"]["rows"]
    tables = {"rows": {**declared, "sample": "60%"}}

    result = case.attempt("predictions", upstream=True, **OTHER, tables=tables, gates={})

    made = {event.materialization.asset_key.path[-1] for event in result.get_asset_materialization_events()}
    assert "evaluation" in made
    assert not made & {PRODUCTION, "predictions"}
    assert name_of(tracking().registry("small").standing()) != "none"
    again = case.attempt(PRODUCTION, config=asked(approve="1"), tables=tables)
    assert "nothing was moved: tables.rows.sample is 60%: what is made of a sample is never promoted" in failure(again)
    alone = case.attempt("predictions", tables=tables)
    assert "nothing is served of a sample, and tables.rows.sample is 60%; leave it out" in failure(alone)
