"""Options of files: each is checked as the declaration is read, and one that does nothing is refused."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from ml.declaration.sources.catalogue import Source
from ml.declaration.sources.kind import SourceKind

SOURCES = TypeAdapter[SourceKind](Source)


def test_options_that_are_not_given_are_not_recorded() -> None:
    plain = SOURCES.validate_python({"path": "a.csv"})
    given = SOURCES.validate_python({"path": "a.csv", "separator": ";", "header": False, "missing": ["?", -999]})

    assert SOURCES.dump_python(plain, mode="json") == {"python": None, "path": "a.csv", "query": None, "url": None}
    assert SOURCES.dump_python(given, mode="json") == {
        "python": None,
        "path": "a.csv",
        "query": None,
        "url": None,
        "separator": ";",
        "header": False,
        "missing": ["?", -999],
    }
    assert SOURCES.validate_python(SOURCES.dump_python(given, mode="json")) == given


@pytest.mark.parametrize(
    ("declared", "place", "message"),
    [
        ({"separator": ";;"}, ("separator",), "';;' is not one ASCII character"),
        ({"separator": "§"}, ("separator",), "'§' is not one ASCII character"),
        ({"separator": ""}, ("separator",), "'' is not one ASCII character"),
        ({"quote": True}, ("quote",), "true says nothing"),
        ({"quote": ","}, (), "quote and separator are both ','"),
        ({"header": 0}, ("header",), "valid boolean"),
        ({"skip": 0}, ("skip",), "greater than or equal to 1"),
        ({"encoding": "utf-33"}, ("encoding",), "'utf-33' is no encoding of texts; .* cp1252"),
        ({"encoding": "base64"}, ("encoding",), "'base64' is no encoding of texts"),
        ({"decimal": ",", "thousands": ","}, (), "decimal and thousands are both ','"),
        ({"thousands": "."}, (), "decimal and thousands are both '.'"),
        ({"thousands": "0"}, ("thousands",), "'0' cannot group digits"),
        ({"decimal": "e"}, (), "decimal: 'e' is a part of numbers"),
        ({"missing": []}, ("missing",), r"\[\] is no list of marks: write one"),
        ({"missing": {"a": []}}, ("missing",), r"\[\] is no list of marks"),
        ({"missing": {}}, ("missing",), "at least 1 item"),
        ({"missing": "?"}, ("missing",), "'\\?' is no list of marks"),
        ({"missing": [True]}, ("missing",), "True is no mark: write a list of texts, in quotes"),
        ({"missing": {"a": [None]}}, ("missing",), "None is no mark"),
        ({"missing": [float("nan")]}, ("missing",), "nan is no mark"),
        ({"dates": "dd/mm/yyyy"}, ("dates",), "no format of dates: write it as strptime"),
        ({"dates": "%d/%Q"}, ("dates",), "'%Q' is unknown"),
        ({"dates": "%d/%m %H:%M"}, ("dates",), "names no year, so that it tells no time"),
        ({"dates": {"at": "%s"}}, ("dates",), "'%s' is unknown"),
        ({"unit": "min"}, ("unit",), "'min' is no unit: write s, ms, us or ns"),
        ({"unit": {"at": "d"}}, ("unit",), "'d' is no unit"),
        ({"columns": ["a", "a"]}, (), r"columns names \['a'\] twice"),
        ({"columns": ["a"], "dates": {"b": "%Y"}}, (), r"name \['b'\], which are not among columns"),
        ({"sheet": "x"}, (), "sheet: not for csv, which takes separator, .*; leave it out, or correct format"),
        ({"path": "a.parquet", "separator": ";"}, (), "separator: not for parquet, which takes columns, missing"),
        ({"path": "a.xlsx", "encoding": "utf-8"}, (), "encoding: not for excel, which takes sheet, header, skip"),
        ({"path": "a.csv", "format": "jsonl", "header": False}, (), "header: not for jsonl"),
        ({"path": "a.csv", "format": "xml"}, ("format",), "'csv', 'jsonl', 'parquet' or 'excel'"),
        ({"path": "a.csv", "seperator": ";"}, ("seperator",), "did you mean 'separator'"),
    ],
)
def test_a_wrong_option_is_refused_at_its_place(declared: Any, place: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValidationError, match=message) as refused:
        SOURCES.validate_python({"path": "a.csv", **declared})

    assert {error["loc"][: len(place)] for error in refused.value.errors()} == {place}


def test_the_question_mark_of_a_pattern_is_no_query() -> None:
    assert SOURCES.validate_python({"glob": "s3://b/202?.parquet"}).told == "parquet"
    with pytest.raises(ValidationError, match="separator: not for parquet"):
        SOURCES.validate_python({"glob": "s3://b/202?.parquet", "separator": ";"})
