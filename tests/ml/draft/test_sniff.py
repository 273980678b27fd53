"""How a file is written is told by its content, whatever its name says."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ml.base.sql import DataError
from ml.draft.notes import Guess, plain
from ml.draft.sniff import options_of

FRAME = pd.DataFrame({"id": range(60), "x": [f"v{row % 7}" for row in range(60)], "y": [row % 2 for row in range(60)]})


def test_a_file_without_an_ending_is_what_it_holds(tmp_path: Path) -> None:
    FRAME.to_csv(tmp_path / "a.data", index=False)
    FRAME.to_json(tmp_path / "b.json", orient="records", lines=True)
    FRAME.to_parquet(tmp_path / "c.bin")
    FRAME.to_excel(tmp_path / "book.xlsx", index=False)
    (tmp_path / "book.xlsx").rename(tmp_path / "d.xlsm")

    formats = [plain(options_of(str(tmp_path / name)))["format"] for name in ("a.data", "b.json", "c.bin", "d.xlsm")]

    assert formats == ["csv", "jsonl", "parquet", "excel"]


def test_an_array_of_json_is_refused_with_what_to_make_of_it(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(json.dumps(FRAME.to_dict("records")))

    with pytest.raises(DataError, match=r"x.json' is one array of JSON.*jq -c"):
        options_of(str(tmp_path / "x.json"))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.json", json.dumps({"rows": [{"id": 1}]}, indent=1).encode(), "one value of JSON over several lines.*jq -c"),
        ("x.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "an old Excel or Word file; save its table"),
        ("x.pdf", b"%PDF-1.4\n%abc", "a PDF"),
        ("x.csv", b"\n<!DOCTYPE html>\n<html>", "a web page"),
        ("x.csv", b"\xef\xbb\xbf<?xml version='1.0'?>", "XML"),
    ],
)
def test_files_of_other_kinds_are_refused_by_their_kind(
    name: str, content: bytes, message: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)

    with pytest.raises(DataError, match=f"{name}' is {message}"):
        options_of(str(tmp_path / name))


def test_a_pattern_is_answered_with_the_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"\*.csv' does not exist; several files of one table are read by their folder"):
        options_of(str(tmp_path / "*.csv"))


def test_bytes_that_are_no_rows_are_refused_by_the_name_of_their_file(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(bytes(range(256)) * 20)

    with pytest.raises(DataError, match=r"x.csv' does not look like rows of CSV"):
        options_of(str(tmp_path / "x.csv"))


def test_the_fullest_sheet_is_read_from_its_table_on(tmp_path: Path) -> None:
    with pd.ExcelWriter(tmp_path / "x.xlsx") as book:
        pd.DataFrame({"note": ["of the year"]}).to_excel(book, sheet_name="Notes", index=False)
        FRAME.to_excel(book, sheet_name="Data", index=False, startrow=2)
        book.sheets["Data"]["A1"] = "All of them"

    options = options_of(str(tmp_path / "x.xlsx"))

    assert plain(options) == {"sheet": "Data", "skip": 2}
    assert options["sheet"].why == "of 2 sheets it has the most cells; the others are Notes"


def test_an_excel_file_of_one_plain_sheet_needs_no_options(tmp_path: Path) -> None:
    FRAME.to_excel(tmp_path / "x.xlsx", index=False)

    assert options_of(str(tmp_path / "x.xlsx")) == {}


def test_the_files_of_a_folder_are_written_as_its_first(tmp_path: Path) -> None:
    for month in ("01", "02"):
        FRAME.to_csv(tmp_path / f"{month}.csv", index=False, sep=";")

    assert plain(options_of(str(tmp_path))) == {"separator": ";"}


@pytest.mark.parametrize(("encoding", "why"), [("utf-16", "mark at the start"), ("cp1252", "no UTF-8")])
def test_the_reason_of_an_encoding_is_what_was_seen(encoding: str, why: str, tmp_path: Path) -> None:
    FRAME.assign(x="Köln").to_csv(tmp_path / "x.csv", index=False, encoding=encoding)

    guess: Any = options_of(str(tmp_path / "x.csv"))["encoding"]

    assert isinstance(guess, Guess)
    assert (guess.value, why in guess.why) == (encoding, True)


@pytest.mark.parametrize("separator", ["^", "~", ":", " ", ";", "|"])
def test_a_rare_separator_is_told(separator: str, tmp_path: Path) -> None:
    FRAME.to_csv(tmp_path / "x.csv", index=False, sep=separator)

    assert plain(options_of(str(tmp_path / "x.csv"))) == {"separator": separator}


@pytest.mark.parametrize(
    ("text", "target", "options"),
    [
        ("2018,2019,2020\n", "2020", {}),
        ("2018,2019,2020\n", "rows.2020", {}),
        ("a title\n\n2018,2019,2020\n", "2020", {"skip": 2}),
        ("2018,2019,2020\n", None, {"header": False}),
        ("\ufeff2018,2019,2020\n", "2018", {}),
    ],
)
def test_the_line_with_the_target_is_the_header(
    text: str, target: str | None, options: dict[str, Any], tmp_path: Path
) -> None:
    rows = [f"{row},{row * 2 % 7},{row % 3}" for row in range(60)]
    (tmp_path / "x.csv").write_text(text + "\n".join(rows))

    assert plain(options_of(str(tmp_path / "x.csv"), target)) == options


def test_a_last_line_of_more_cells_is_no_table(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(FRAME.to_csv(index=False) + "x,foul,e,zzz\n")

    assert options_of(str(tmp_path / "x.csv"), "y") == {}
