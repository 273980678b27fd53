"""Stored results: immutable, verified, whole or not at all; on a local disk and in an object store."""

import io
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import dagster as dg
import fsspec
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml.base.hashing import hash_table
from ml.search.leaderboard import Leaderboard
from resources.formats import ROW_GROUP
from resources.storage import METADATA, Columns, Storage, StorageError, Stored, find

VALUES = [
    pd.DataFrame({"a": [1.5, None], "b": ["x", None], "at": pd.to_datetime(["2024-01-01", None])}),
    pa.table({"a": [1, None], "b": ["x", "y"]}),
    Leaderboard(metric="roc_auc", ranking=(("logistic", 0.5),)),
    b"content",
    {"a": (1, 2)},
]


@pytest.fixture(params=["file", "s3"])
def storage(request: pytest.FixtureRequest, home: Path) -> Storage:
    return Storage(url="" if request.param == "file" else f"{request.getfixturevalue('s3')}/results")


def files(storage: Storage) -> list[str]:
    fs, base = fsspec.core.url_to_fs(storage.base())
    return [str(path) for path in fs.find(base)]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_what_is_loaded_is_what_was_saved(value: Any, storage: Storage) -> None:
    loaded = storage.load(storage.save("case/asset", value))

    if isinstance(value, pd.DataFrame):
        pd.testing.assert_frame_equal(loaded, value)
    else:
        assert loaded == value


def test_equal_content_is_kept_once_and_other_content_beside_it(storage: Storage) -> None:
    first, same, other = (storage.save("a", content) for content in (b"content", b"content", b"other"))

    assert first == same != other
    assert len(files(storage)) == 2
    assert storage.load(first) == b"content"


def test_the_hash_of_a_pickle_does_not_say_which_of_its_equal_texts_are_one_object(storage: Storage) -> None:
    text, copied = "remainder", "".join(["remain", "der"])

    stored = storage.save("model", {text: [text, text]})

    assert storage.save("model", {text: [copied, "".join(["remain", "der"])]}) == stored
    assert storage.save("model", storage.load(stored)) == stored


def test_a_value_of_many_levels_is_stored(storage: Storage) -> None:
    value: list[Any] = []
    for _ in range(400):
        value = [value]

    assert storage.load(storage.save("model", value)) == value


def test_a_damaged_or_missing_result_is_named(storage: Storage) -> None:
    stored = storage.save("a/b", b"content")
    fs, base = fsspec.core.url_to_fs(storage.base())
    target = f"{base}/{stored.path}"

    fs.pipe_file(target, b"c0ntent")
    with pytest.raises(StorageError, match=r"a/b/.* is damaged: .*; materialize the asset that makes it again"):
        storage.load(stored)
    fs.rm_file(target)
    with pytest.raises(StorageError, match=r"a/b/.* is missing; materialize the asset"):
        storage.load(stored)


def test_a_write_that_is_killed_leaves_nothing_that_can_be_read(home: Path) -> None:
    code = (
        "import os\n"
        "os.replace = lambda *_: os.kill(os.getpid(), 9)\n"
        "from resources.storage import Columns, Storage\n"
        "Storage().save('a', b'content')"
    )

    killed = subprocess.run([sys.executable, "-W", "ignore", "-c", code], env=os.environ, check=False)

    assert killed.returncode == -9
    assert [Path(path).suffix for path in files(Storage())] == [".part"]
    stored = Storage().save("a", b"content")
    assert Storage().load(stored) == b"content"


@pytest.mark.parametrize("value", [b"content", pd.DataFrame({"x": [1.0, 2.0]})], ids=["bytes", "frame"])
def test_content_that_was_damaged_is_whole_again_once_it_is_saved(value: Any, storage: Storage) -> None:
    stored = storage.save("a/b", value)
    fs, base = fsspec.core.url_to_fs(storage.base())
    other = storage.save("c/d", b"other" if isinstance(value, bytes) else value * 2)
    fs.pipe_file(f"{base}/{stored.path}", fs.cat_file(f"{base}/{other.path}"))

    again = storage.save("a/b", value)

    assert again == stored
    loaded = storage.load(again)
    assert loaded.equals(value) if isinstance(value, pd.DataFrame) else loaded == value


def test_only_the_columns_asked_for_are_read(tmp_path: Path) -> None:
    storage = Storage(url=str(tmp_path))
    stored = storage.save("case/table", pa.table({"a": [1, 2], "b": [3, 4], "c": ["x", "y"]}))

    assert Columns(storage, stored).read({"c", "a", "absent"}).to_pydict() == {"a": [1, 2], "c": ["x", "y"]}
    assert Columns(storage, stored).read().num_columns == 3


@pytest.mark.parametrize("of_pandas", [False, True], ids=["table", "frame"])
def test_a_table_lies_in_row_groups_which_are_no_part_of_its_identity(of_pandas: bool, tmp_path: Path) -> None:
    storage, table = Storage(url=str(tmp_path)), pa.table({"a": range(131_073), "b": ["x"] * 131_073})

    stored = storage.save("case/table", table.to_pandas() if of_pandas else table)

    file = pq.ParquetFile(storage.uri(stored))
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [ROW_GROUP, 1]
    assert stored.hash == hash_table(table) == "2a3889faaf86f215fa7ec88b4d37533a57b58049c947c2aefd9965681d1def5e"
    assert stored.path == f"case/table/{stored.hash}.parquet"


def test_what_lies_in_other_row_groups_is_not_written_again(tmp_path: Path) -> None:
    storage, table = Storage(url=str(tmp_path)), pa.table({"a": [1, 2, 3]})
    sink = io.BytesIO()
    pq.write_table(table, sink, row_group_size=2, compression="gzip")
    (tmp_path / "case").mkdir()
    file = tmp_path / "case" / f"{hash_table(table)}.parquet"
    file.write_bytes(sink.getvalue())

    stored = storage.save("case", table)

    assert file.read_bytes() == sink.getvalue()
    assert storage.load(stored) == table


def test_a_record_from_before_tables_could_grow_is_a_version_of_one_file() -> None:
    record = {"path": "a/b.bin", "digest": "0", "size": 3, "hash": "1", "kind": "bytes"}

    assert [file.path for file in Stored(**record).files] == ["a/b.bin"]


def test_what_somebody_reported_in_the_ui_hides_no_stored_version(home: Path) -> None:
    key, stored = dg.AssetKey(["small", "examples"]), Storage().save("small/examples", b"content")
    with dg.DagsterInstance.get() as instance:
        instance.report_runless_asset_event(dg.AssetMaterialization(key))
        with pytest.raises(StorageError, match="small/examples was never materialized"):
            find(instance, key)
        made = {METADATA: dg.MetadataValue.json(asdict(stored)), "coordinates id": "c"}
        instance.report_runless_asset_event(dg.AssetMaterialization(key, metadata=made))
        instance.report_runless_asset_event(dg.AssetMaterialization(key))

        found = find(instance, key)

    assert (found.path, found.coordinates) == (stored.path, "c")
