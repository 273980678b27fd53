"""A table that only grows: its versions share files, and no division of its rows changes what they are."""

import os
from collections.abc import Callable
from math import log2
from pathlib import Path
from uuid import uuid4

import fsspec
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.base.hashing import hash_table
from ml.base.table_file import TableFile
from resources.storage import Storage, StorageError, Stored

COLUMNS = {
    "number": (pa.float64(), st.floats(allow_nan=False)),
    "text": (pa.string(), st.text(max_size=3)),
    "kind": (pa.dictionary(pa.int8(), pa.string()), st.sampled_from(["x", "y", "z"])),
    "at": (pa.timestamp("s"), st.integers(-(10**9), 10**10)),
    "flag": (pa.bool_(), st.booleans()),
}
ROWS = st.lists(st.tuples(*(st.none() | values for _, values in COLUMNS.values())), max_size=40)


def make(rows: list[tuple]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [()] * len(COLUMNS)
    return pa.table(
        {name: pa.array(values, kind) for (name, (kind, _)), values in zip(COLUMNS.items(), columns, strict=True)}
    )


def table(rows: int, start: int = 0) -> pa.Table:
    return pa.table({"n": range(start, start + rows), "t": [f"row {n}" for n in range(start, start + rows)]})


@pytest.fixture(params=["file", "s3"])
def storage(request: pytest.FixtureRequest, home: Path) -> Storage:
    return Storage(url="" if request.param == "file" else f"{request.getfixturevalue('s3')}/results")


def sizes(storage: Storage) -> dict[str, int]:
    """The bytes of every file."""
    fs, base = fsspec.core.url_to_fs(storage.base())
    return {str(path): int(about["size"]) for path, about in fs.find(base, detail=True).items()}


def rows_in(storage: Storage, stored: Stored) -> list[int]:
    fs, base = fsspec.core.url_to_fs(storage.base())
    return [pq.ParquetFile(fs.open(f"{base}/{file.path}")).metadata.num_rows for file in stored.files]


@pytest.mark.slow
@settings(deadline=None, max_examples=50)
@given(ROWS, st.lists(st.integers(0, 40), max_size=10))
def test_however_a_table_grows_every_version_is_what_it_would_be_in_one_file(
    rows: list[tuple], lengths: list[int]
) -> None:
    storage, whole, versions = Storage(url=f"memory://{uuid4().hex}"), make(rows), list[tuple[int, Stored]]()

    stored = None
    for length in sorted(min(length, len(rows)) for length in [*lengths, len(rows)]):
        stored = storage.save("case/rows", whole.slice(0, length), grown_from=stored)
        versions.append((length, stored))

    for length, version in versions:
        alone = Storage(url=f"memory://{uuid4().hex}")
        once = alone.save("case/rows", whole.slice(0, length))
        assert version.hash == once.hash == hash_table(whole.slice(0, length))
        assert storage.load(version).schema == alone.load(once).schema
        assert storage.load(version).to_pylist() == alone.load(once).to_pylist()
        pd.testing.assert_frame_equal(storage.load(version).to_pandas(), alone.load(once).to_pandas())
        assert storage.load(version, ["flag", "text"]) == alone.load(once, ["flag", "text"])
        assert hash_table(storage.load(version)) == version.hash
        assert len(version.files) <= log2(max(length, 1)) + 1


def test_of_a_table_that_grew_only_the_new_rows_are_written(storage: Storage) -> None:
    first = storage.save("case/rows", table(50_000))
    before = sizes(storage)

    second = storage.save("case/rows", table(50_100), grown_from=first)

    new = {path: size for path, size in sizes(storage).items() if path not in before}
    assert [second.size] == list(new.values())
    assert second.size < first.size / 50
    assert second.before == first.files
    assert rows_in(storage, second) == [50_000, 100]
    assert second.hash == hash_table(table(50_100))
    assert storage.load(first) == table(50_000)
    assert storage.load(second) == table(50_100)


def test_a_table_that_did_not_grow_is_the_version_that_is_there(storage: Storage) -> None:
    first = storage.save("case/rows", table(1000))
    second = storage.save("case/rows", table(1001), grown_from=first)
    before = sizes(storage)

    assert storage.save("case/rows", table(1001), grown_from=second) == second
    assert sizes(storage) == before


def test_many_small_growths_lie_in_few_files_and_leave_the_large_one_alone(home: Path) -> None:
    storage = Storage()
    first = stored = storage.save("case/rows", table(5000))

    for rows in range(5001, 5101):
        stored = storage.save("case/rows", table(rows), grown_from=stored)
        assert len(stored.files) <= 8

    assert stored.files[0] == first.files[0]
    assert storage.load(stored) == table(5100)


@pytest.mark.parametrize(
    "changed",
    [
        lambda grown: grown.set_column(0, "n", pa.array([7, *range(1, grown.num_rows)])),
        lambda grown: pa.concat_tables([grown.slice(1), grown.slice(0, 1)]),
        lambda grown: grown.slice(1),
        lambda grown: grown.slice(0, 900),
        lambda grown: grown.append_column("more", pa.nulls(grown.num_rows, pa.string())),
        lambda grown: grown.select(["t", "n"]),
        lambda grown: grown.rename_columns(["n", "T"]),
        lambda grown: grown.set_column(0, "n", grown["n"].cast(pa.float64())),
        lambda grown: grown.set_column(1, "t", grown["t"].cast(pa.large_string())),
        lambda grown: grown.replace_schema_metadata({"source": "another"}),
    ],
    ids=["value", "order of rows", "first row gone", "fewer rows", "new column", "order of columns", "name", "type",
         "width of text", "metadata"],
)  # fmt: skip
def test_a_table_that_changed_in_any_other_way_is_written_whole(
    changed: Callable[[pa.Table], pa.Table], home: Path
) -> None:
    storage, now = Storage(), changed(table(1100))
    first = storage.save("case/rows", table(1000))

    second = storage.save("case/rows", now, grown_from=first)

    assert second.before == ()
    assert storage.load(second).equals(now, check_metadata=True)
    assert storage.load(first) == table(1000)


def test_a_version_of_another_kind_shares_nothing(home: Path) -> None:
    storage = Storage()

    for value in (table(1000).to_pandas(), b"content"):
        earlier = storage.save("case/rows", value)
        assert storage.save("case/rows", table(1001), grown_from=earlier).before == ()


@pytest.mark.parametrize("place", [0, 1])
def test_a_damaged_or_missing_file_of_a_grown_table_is_named_and_made_whole(place: int, storage: Storage) -> None:
    first = storage.save("case/rows", table(1000))
    second = storage.save("case/rows", table(1100), grown_from=first)
    fs, base = fsspec.core.url_to_fs(storage.base())
    target = f"{base}/{second.files[place].path}"

    fs.pipe_file(target, b"something else")
    with pytest.raises(StorageError, match=f"{second.files[place].path} is damaged: .*; materialize the asset"):
        storage.load(second)
    fs.rm_file(target)
    for read in (storage.load, storage.verify):
        with pytest.raises(StorageError, match=f"{second.files[place].path} is missing; materialize the asset"):
            read(second)
    again = storage.save("case/rows", table(1100), grown_from=second)

    assert again.hash == second.hash
    assert storage.load(again) == table(1100)


def test_a_growth_that_is_killed_leaves_the_earlier_version_whole(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = Storage()
    first = storage.save("case/rows", table(1000))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            storage.save("case/rows", table(1100), grown_from=first)

    assert [path for path in sizes(storage) if path.endswith(".parquet")] == [storage.uri(first)]
    assert storage.load(storage.save("case/rows", table(1100), grown_from=first)) == table(1100)


def test_equal_rows_that_lie_there_in_another_form_are_read_in_the_form_of_the_first(home: Path) -> None:
    storage, whole = Storage(), pa.table({"at": pa.array(range(1100), pa.timestamp("us")), "n": range(1100)})
    other = whole.slice(1000).cast(pa.schema({"at": pa.timestamp("ns"), "n": pa.int64()})).select(["n", "at"])
    storage.save("case/rows", other)
    first = storage.save("case/rows", whole.slice(0, 1000))

    second = storage.save("case/rows", whole, grown_from=first)

    assert len(sizes(storage)) == 2
    assert storage.load(second) == whole


def test_a_table_in_a_file_is_stored_as_the_same_table_in_memory_is(tmp_path: Path) -> None:
    beside = tmp_path / "rows.parquet"
    memory, files = Storage(url=f"{tmp_path}/a"), Storage(url=f"{tmp_path}/b")
    first, second = None, None
    for rows in (100, 103, 350):
        pq.write_table(table(rows), beside)
        first = memory.save("t", table(rows), grown_from=first)
        second = files.save("t", TableFile(beside), grown_from=second)

        assert (first.hash, len(first.before)) == (second.hash, len(second.before))
        assert files.load(second).equals(table(rows))
        assert [file.path for file in first.files] == [file.path for file in second.files]


def test_a_table_in_a_file_goes_to_an_object_store(s3: str, tmp_path: Path) -> None:
    storage = Storage(url=s3)
    pq.write_table(table(100), tmp_path / "rows.parquet")
    earlier = storage.save("t", TableFile(tmp_path / "rows.parquet"))
    pq.write_table(table(103), tmp_path / "rows.parquet")
    stored = storage.save("t", TableFile(tmp_path / "rows.parquet"), grown_from=earlier)

    assert storage.load(stored).equals(table(103))
    assert stored.before == earlier.files
