"""A source that grows: its snapshots share files, which stay as long as one of them is needed."""

import os
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pandas as pd
import pyarrow as pa
import pytest
from click.testing import CliRunner

from dagster_project.commands.main import main
from dagster_project.results.gc import garbage
from dagster_project.results.locate import locate
from ml.base.hashing import hash_table
from resources.bentos import BentoStore
from resources.ledger import Ledger
from resources.storage import Storage, Version, find
from resources.studies import studies
from resources.tracking.runs import tracking
from tests.support.small import Small

RAW = dg.AssetKey(["small", "raw", "rows"])


def grow(small: Small, rows: int) -> None:
    last = pd.read_csv(small.rows)["id"].max() + 1
    more = pd.DataFrame({"id": range(last, last + rows), "x": 0.5, "y": [0, 1] * (rows // 2)})
    more.to_csv(small.rows, mode="a", header=False, index=False)


def snapshot() -> Version:
    with dg.DagsterInstance.get() as instance:
        return find(instance, RAW)


def metadata(key: dg.AssetKey = RAW) -> dict[str, dg.MetadataValue]:
    with dg.DagsterInstance.get() as instance:
        event = instance.get_latest_materialization_event(key)
        assert event is not None
        assert event.asset_materialization is not None
        return dict(event.asset_materialization.metadata)


def files(small: Small) -> set[Path]:
    return set((small.home / "storage" / "small" / "raw" / "rows").iterdir())


def test_of_a_csv_that_grew_only_the_new_rows_are_written_and_all_are_used(small: Small) -> None:
    small.materialize(until="examples")
    first, before = snapshot(), files(small)
    grow(small, rows=20)

    small.materialize(until="examples")

    second, new = snapshot(), files(small) - before
    assert [Storage().uri(second)] == [str(path) for path in new]
    assert second.before == first.files
    whole = Storage().load(second)
    assert whole.to_pandas().equals(pd.read_csv(small.rows))
    assert second.hash == hash_table(whole) == hash_table(pa.Table.from_pandas(pd.read_csv(small.rows)))
    with dg.DagsterInstance.get() as instance:
        assert Storage().load(find(instance, dg.AssetKey(["small", "examples"]))).num_rows == 320


def test_of_a_csv_that_changed_all_rows_are_written(small: Small) -> None:
    small.materialize(until="raw/rows")
    grow(small, rows=20)
    pd.read_csv(small.rows).assign(x=1.5).to_csv(small.rows, index=False)

    small.materialize(until="raw/rows")

    assert snapshot().before == ()


def test_the_materialization_shows_statistics_and_every_file(small: Small) -> None:
    small.materialize(until="raw/rows")
    first = metadata()
    grow(small, rows=20)
    small.materialize(until="raw/rows")
    second = metadata()

    assert "| `id`     | int64  | 0         | 300        | 0      | 299 " in first["statistics"].value
    assert "| 320 " in second["statistics"].value
    assert first["dagster/uri"].value == second["files"].value[0]
    assert "dagster/uri" not in second
    assert len(second["files"].value) == 2
    assert second["size (bytes)"].value == sum(Path(file).stat().st_size for file in second["files"].value)


def test_the_feature_matrix_shows_statistics(small: Small) -> None:
    small.materialize(until="features/development")

    shown = metadata(dg.AssetKey(["small", "features", "development"]))["statistics"].value

    assert "| `x` " in shown
    assert "| `split` " in shown


def test_a_file_leads_to_the_snapshot_whose_new_rows_it_holds(small: Small) -> None:
    snapshots = []
    for _ in range(2):
        small.materialize(until="raw/rows")
        snapshots.append(snapshot())
        grow(small, rows=20)

    ids = [locate(Storage().uri(file), tracking())["id"] for file in snapshots[1].files]

    assert ids == [version.coordinates for version in snapshots]
    shown = CliRunner().invoke(main, ["locate", "small/raw/rows"], catch_exceptions=False).output
    assert f"{snapshots[0].path}, {snapshots[1].path}" in shown


def test_files_that_a_later_snapshot_shares_stay_and_those_it_replaced_go(small: Small) -> None:
    versions = []
    for rows in (20, 20, 0):  # the second growth takes over the first: both are small beside the 300 rows
        small.materialize(until="raw/rows")
        versions.append(snapshot())
        grow(small, rows)
    first, second, third = versions
    for path in files(small):
        os.utime(path, (1577836800, 1577836800))

    pieces = garbage(Ledger(), Storage(), BentoStore(), tracking(), studies(), timedelta(0))

    assert third.before == first.files
    paths = {piece.path.removeprefix("file://") for piece in pieces if piece.kind == "small/raw/rows"}
    assert paths == {Storage().uri(second)}


def test_a_snapshot_that_lost_a_file_is_whole_again_once_it_is_materialized(small: Small) -> None:
    small.materialize(until="raw/rows")
    grow(small, rows=20)
    small.materialize(until="raw/rows")
    Path(Storage().uri(snapshot().files[0])).unlink()

    small.materialize(until="examples")

    assert snapshot().before == ()
    assert Storage().load(snapshot()).num_rows == 320


@pytest.mark.slow
def test_a_model_of_a_grown_source_can_be_reproduced(small: Small) -> None:
    small.materialize(until="raw/rows")
    grow(small, rows=20)
    evaluation = small.materialize(until="evaluation")

    reproduced = CliRunner().invoke(main, ["reproduce", evaluation], catch_exceptions=False)

    assert reproduced.exit_code == 0, reproduced.output
    assert "identical  small/raw/rows" in reproduced.output
