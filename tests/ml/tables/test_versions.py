"""Tables that have versions: Delta Lake and Iceberg; the version that was read is known, and read again."""

import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pydantic import ValidationError

from ml.declaration.tables import Table
from ml.tables.sources import DataError, load_table, pinned

FIRST = pa.table({"id": [1, 2], "x": [-999, 5], "day": ["01.02.2024", "02.02.2024"]})
SECOND = pa.table({"id": [3], "x": [7], "day": ["03.02.2024"]})
WRITTEN = {"missing": [-999], "dates": "%d.%m.%Y"}


def declared(source: dict[str, Any], key: str = "id") -> Table:
    return Table.model_validate({"source": source, "key": key})


def ids(source: dict[str, Any]) -> list[int]:
    return sorted(load_table("shop", "orders", declared(source))["id"].to_pylist())


@pytest.fixture
def delta(tmp_path: Path) -> str:
    from deltalake import write_deltalake

    for rows in (FIRST, SECOND):
        write_deltalake(tmp_path / "orders", rows, mode="append", partition_by=["day"])
    return str(tmp_path / "orders")


@pytest.fixture
def catalog(tmp_path: Path) -> dict[str, str]:
    return {"type": "sql", "uri": f"sqlite:///{tmp_path}/catalog.db", "warehouse": f"file://{tmp_path}/warehouse"}


@pytest.fixture
def iceberg(catalog: dict[str, str]) -> Any:
    from pyiceberg.catalog import load_catalog

    opened = load_catalog("sextant", **catalog)
    opened.create_namespace("shop")
    table = opened.create_table("shop.orders", schema=FIRST.schema)
    for rows in (FIRST, SECOND):
        table.append(rows)
    yield table
    opened.close()


def test_a_delta_table_is_read_at_its_latest_version_or_an_earlier_one(delta: str) -> None:
    latest = pinned("shop", "orders", declared({"delta": delta, **WRITTEN}))

    assert latest.source.version_read == "1"
    assert ids({"delta": delta, "version": 0}) == [1, 2]
    assert ids({"delta": delta, "columns": ["id"]}) == [1, 2, 3]
    table = load_table("shop", "orders", latest)
    assert sorted(table["x"].to_pylist(), key=str) == [5, 7, None]
    assert pa.types.is_timestamp(table["day"].type)
    assert pinned("shop", "orders", latest) == latest


def test_an_iceberg_table_is_read_at_its_current_snapshot_or_an_earlier_one(
    iceberg: Any, catalog: dict[str, str]
) -> None:
    first, current = (snapshot.snapshot_id for snapshot in iceberg.snapshots())
    source = {"iceberg": "shop.orders", "catalog": catalog, **WRITTEN}
    latest = pinned("shop", "orders", declared(source))

    assert latest.source.version_read == str(current)
    assert ids({**source, "version": first}) == [1, 2]
    assert ids({"iceberg": iceberg.metadata_location, "columns": ["id"]}) == [1, 2, 3]
    table = load_table("shop", "orders", latest)
    assert sorted(table["x"].to_pylist(), key=str) == [5, 7, None]
    assert table.column_names == ["id", "x", "day"]
    assert load_table("shop", "orders", declared({**source, "columns": ["x", "id"], "dates": None})).num_columns == 2


def test_what_is_not_there_is_named(delta: str, iceberg: Any, catalog: dict[str, str], tmp_path: Path) -> None:
    place = {"iceberg": "shop.orders", "catalog": catalog}
    for source, message in (
        ({"delta": f"{tmp_path}/none"}, r"there is no Delta table '.*/none'; correct source\.delta"),
        ({"delta": delta, "version": 9}, r"cannot be read at version 9, the latest is 1: .*; correct source\.version"),
        ({"delta": delta, "columns": ["z"]}, r"has no columns \['z'\]\. It has \['id', 'x', 'day'\]"),
        ({**place, "iceberg": "shop.none"}, r"there is no table like Iceberg table 'shop\.none'; correct source\.ice"),
        ({**place, "version": 7}, r"has no snapshot 7\. It has \[\d+, \d+\]; correct source\.version"),
        ({**place, "columns": ["z"]}, r"has no columns \['z'\]"),
        ({**place, "catalog": {"type": "bad"}}, r"source\.iceberg 'shop\.orders' cannot be read: ValueError"),
    ):
        with pytest.raises(DataError, match=rf"^use case 'shop', table 'orders': .*{message}"):
            load_table("shop", "orders", declared(source))
    assert not (tmp_path / "none").exists()


def test_rows_that_have_no_order_have_no_places(delta: str) -> None:
    with pytest.raises(DataError, match="row_number names a row by its place; the rows of a Delta table have no order"):
        load_table("shop", "orders", declared({"delta": delta}, key="row_number"))


def test_an_empty_iceberg_table_has_no_version(catalog: dict[str, str]) -> None:
    from pyiceberg.catalog import load_catalog

    opened = load_catalog("sextant", **catalog)
    opened.create_namespace("shop")
    opened.create_table("shop.empty", schema=FIRST.schema)
    opened.close()

    empty = pinned("shop", "orders", declared({"iceberg": "shop.empty", "catalog": catalog}))

    assert empty.source.version_read is None
    assert load_table("shop", "orders", empty).num_rows == 0


def test_secrets_of_a_catalog_are_in_no_record() -> None:
    catalog = {"uri": "https://me:pw@host", "token": "t0k", "s3.secret-access-key": "k", "s3.access-key-id": "i"}

    recorded = declared({"iceberg": "a.b", "catalog": catalog}).model_dump(mode="json")["source"]

    assert recorded["catalog"] == {
        "uri": "https://***@host",
        "token": "***",
        "s3.secret-access-key": "***",
        "s3.access-key-id": "***",
    }


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"iceberg": "shop.orders"}, "is no metadata file .* needs a catalog"),
        ({"iceberg": "a/b.metadata.json", "catalog": {"type": "sql"}}, "a metadata file is in no catalog"),
        ({"delta": "a", "version": -1}, "greater than or equal to 0"),
        ({"delta": "a", "separator": ";"}, "unknown key 'separator'"),
        ({"path": "a.csv", "version": 1}, "unknown key 'version'"),
    ],
)
def test_a_wrong_declaration_is_refused(source: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        declared(source)


@pytest.mark.parametrize(
    ("module", "source"),
    [("deltalake", {"delta": "a"}), ("pyiceberg", {"iceberg": "a.metadata.json"})],
)
def test_a_library_that_is_not_installed_is_named_with_its_extra(
    module: str, source: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)

    with pytest.raises(DataError, match=rf"needs the package {module}, which is not installed: pip install 'sextant\["):
        load_table("shop", "orders", declared(source))
