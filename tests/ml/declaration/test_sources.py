"""Kinds of sources: what is declared picks one, and what was recorded before there were kinds still does."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from ml.declaration.sources.catalogue import Source
from ml.declaration.sources.delta import DeltaSource
from ml.declaration.sources.file import FileSource
from ml.declaration.sources.files import FilesSource
from ml.declaration.sources.iceberg import IcebergSource
from ml.declaration.sources.kind import SourceKind
from ml.declaration.sources.python import PythonSource
from ml.declaration.sources.query import QuerySource

SOURCES = TypeAdapter[SourceKind](Source)
NULLS = {"python": None, "path": None, "query": None, "url": None}
DECLARED = [
    ({"python": "shop.tables:orders"}, PythonSource, "shop.tables"),
    ({"path": "orders.csv"}, FileSource, None),
    ({"query": "select 1", "url": "sqlite://"}, QuerySource, None),
    ({"glob": "2024-*.csv"}, FilesSource, None),
    ({"delta": "orders"}, DeltaSource, None),
    ({"iceberg": "orders.metadata.json"}, IcebergSource, None),
]


@pytest.mark.parametrize(("declared", "kind", "module"), DECLARED)
def test_a_key_picks_the_kind_which_knows_the_module_whose_code_decides(
    declared: dict[str, str], kind: type[SourceKind], module: str | None
) -> None:
    source = SOURCES.validate_python(declared)

    assert type(source) is kind
    assert source.module == module


@pytest.mark.parametrize(("declared", "kind", "module"), DECLARED)
def test_a_recorded_declaration_has_the_keys_of_all_kinds_and_is_read_again(
    declared: dict[str, str], kind: type[SourceKind], module: str | None
) -> None:
    recorded = {**NULLS, **declared}

    source = SOURCES.validate_python(recorded)

    assert type(source) is kind
    assert list(SOURCES.dump_python(source, mode="json").items()) == list(recorded.items())


@pytest.mark.parametrize(
    ("declared", "place", "message"),
    [
        ({}, (), "exactly one of python, path, glob, query, delta or iceberg; given: none"),
        ("orders.csv", (), "exactly one of python, path, glob, query, delta or iceberg; given: none"),
        ({"path": "a.csv", "query": "select 1", "url": "u"}, (), r"exactly one .*; given: \['path', 'query'\]"),
        (
            {"pathh": "a.csv"},
            ("pathh",),
            "'pathh', did you mean 'path'; allowed: catalog, columns, .*, path, python, query, .*, url, version",
        ),
        ({"path": "a.csv", "url": "sqlite://"}, ("url",), "unknown key 'url'; allowed: columns, .*, path"),
        ({"query": "select 1"}, ("url",), "Field required"),
        ({"python": "orders"}, ("python",), "python must look like package.module:function, given: 'orders'"),
    ],
)
def test_a_mistake_is_named_at_its_place(declared: Any, place: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValidationError, match=message) as refused:
        SOURCES.validate_python(declared)

    assert [error["loc"] for error in refused.value.errors()] == [place]
