"""The page about data: its example is read as it says, and each of its lines is a declaration."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import TypeAdapter

from ml.declaration.relationships import Link
from ml.declaration.sources.catalogue import Source
from ml.declaration.sources.options import ENDINGS, TAKES, FileOptions, StoredSource
from ml.declaration.tables import Table
from ml.tables.sources import load_table

PAGE = (Path(__file__).parents[2] / "docs" / "data.md").read_text()
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, re.S)


def rows_of(heading: str) -> list[list[str]]:
    """Return the cells of the first table below a heading, without its head."""
    lines = PAGE.partition(f"## {heading}\n")[2].splitlines()
    first = next(at for at, line in enumerate(lines) if line.startswith("|"))
    table = [line for line in lines[first:] if line.startswith("|")][2:]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table]


def test_the_example_is_read_as_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    content = re.search(r"```csv\n(.*?)```", PAGE, re.S)
    shown = re.search(r"\| nr \| größe.*?\n\n", PAGE, re.S)
    assert content is not None
    assert shown is not None
    (tmp_path / "kunden.csv").write_bytes(content[1].encode("cp1252"))
    declared = yaml.safe_load(next(block for block in BLOCKS if "kunden.csv" in block))

    table = load_table("docs", "customers", Table.model_validate(declared))

    head, _, *lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in shown[0].strip().splitlines()]
    assert table.column_names == head
    rows = [["" if value is None else str(value) for value in row.values()] for row in table.to_pylist()]
    assert rows == lines


def test_each_way_to_write_a_file_is_an_option() -> None:
    written = " ".join(how for _, how in rows_of("How a file is written")[:11])

    examples = re.findall(r"`([a-z]+: [^`]*)`", written)
    for example in examples:
        declared: dict[str, Any] = yaml.safe_load(f"{{path: a.csv, {example}}}")
        TypeAdapter(Source).validate_python(declared)
    named = {name for example in examples for name in yaml.safe_load(f"{{{example}}}")}
    options = {option for options in TAKES.values() for option in options} - {"sheet"}
    assert named == options | set(StoredSource.unsaid) | {"format"}
    assert set(FileOptions.unsaid) == named | {"sheet"}


def test_each_source_of_the_page_is_one() -> None:
    examples = [example.strip("`") for _, example in rows_of("Where rows come from")]

    kinds = {TypeAdapter(Source).validate_python(yaml.safe_load(example)).key for example in examples}

    assert kinds == {"path", "glob", "delta", "iceberg", "query", "python"}
    assert [
        ending for ending in ENDINGS if f"`{ending}" not in PAGE and ending not in (".parquet", ".pq", ".xlsx")
    ] == []


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.startswith("source: ")])
def test_each_table_of_the_page_is_a_declaration(block: str) -> None:
    Table.model_validate(yaml.safe_load(block))


@pytest.mark.parametrize("line", re.findall(r"^key: .*$", next(b for b in BLOCKS if "row_number" in b), re.M))
def test_each_key_of_the_page_is_a_declaration(line: str) -> None:
    Table.model_validate({"source": {"path": "a.csv"}, **yaml.safe_load(line)})


def test_the_relationship_of_the_page_is_read() -> None:
    found = re.search(r"`relationships: (\[.*?\])`", PAGE)

    assert found is not None
    assert [Link.read(text) for text in yaml.safe_load(found[1])] == [
        Link("returns", ("order", "line"), "lines", ("order", "line"))
    ]


TWINS = {  # excerpts with the oddities of files that people have
    "telco": (
        "rowno,customerID,tenure,TotalCharges,Churn\n0,7590-VHVEG,1,29.85,No\n1,4472-LVYGI,0, ,No\n",
        {"missing": {"TotalCharges": [" "]}},
        "customerID",
        {"TotalCharges": [29.85, None]},
    ),
    "hour": (
        '"","X","instant","dteday","hr","cnt","hr2"\n"1",1,1,"1/1/11",0,16,"12 AM"\n"2",2,2,"12/31/12",23,40,"11 PM"\n',
        {"dates": "%m/%d/%y"},
        "instant",
        {"cnt": [16, 40], "hr2": ["12 AM", "11 PM"]},
    ),
    "wine": (
        '"fixed acidity";"volatile acidity";"quality"\n7;0.27;6\n6.3;0.3;6\n6.3;0.3;6\n',
        {"separator": ";"},
        "row_number",
        {"fixed acidity": [7.0, 6.3, 6.3], "quality": [6, 6, 6]},
    ),
    "arrhythmia": (
        "75,0,?,80,91\n56,1,165,64,?\n",
        {"format": "csv", "header": False, "missing": ["?"]},
        "row_number",
        {"column3": [None, 165], "column5": [91, None]},
    ),
}


@pytest.mark.parametrize("name", TWINS)
def test_files_that_people_have_are_read_by_their_declaration_alone(name: str, tmp_path: Path) -> None:
    content, options, key, expected = TWINS[name]
    path = tmp_path / f"{name}.data"
    path.write_text(content)
    source = {"path": str(path), "format": "csv", **options}

    table = load_table("docs", name, Table.model_validate({"source": source, "key": key}))

    assert {column: table[column].to_pylist() for column in expected} == expected
