"""The check of a declaration against its data says what a run would stop at, and what is worth a look."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ml.declaration.tables import Table
from ml.declaration.use_case import UseCaseSpec
from ml.draft.check import check, remarkable
from ml.tables.sources import load_table

pytestmark = pytest.mark.filterwarnings("ignore")


def remarks(folder: Path, rows: int | None = None, **changes: Any) -> dict[bool, list[str]]:
    """Return what is wrong (True) and what is worth a look (False) of a small use case with changes."""
    frame = pd.DataFrame(
        {
            "id": range(300),
            "x": [row % 17 for row in range(300)],
            "name": [f"customer {row}" for row in range(300)],
            "twin": [row % 17 for row in range(300)],
            "nothing": "same",
            "p-r.interval": [row % 5 for row in range(300)],
            "y": [row % 3 for row in range(300)],
        }
    )
    frame.to_csv(folder / "rows.csv", index=False)
    declared = {
        "description": "Which?",
        "tables": {"rows": {"source": {"path": str(folder / "rows.csv")}, "key": "id", **changes.pop("table", {})}},
        "examples": {
            "table": "rows", "target": "y = 1", "split": {"validation_share": 0.2, "test_share": 0.2},
            **changes.pop("examples", {}),
        },
        "models": {"logistic": {}},
        **changes,
    }  # fmt: skip
    answers: dict[bool, list[str]] = {True: [], False: []}
    for remark in check("case", UseCaseSpec.model_validate(declared), rows):
        answers[remark.wrong].append(remark.text)
    return answers


def test_columns_that_tell_nothing_are_worth_a_look(tmp_path: Path) -> None:
    answers = remarks(tmp_path)

    assert answers[True] == []
    assert answers[False] == [
        "column 'name' has 300 different texts in 300 rows: a name tells nothing of others: list it under ignore",
        "column 'twin' is equal to 'x': list it under ignore",
        "column 'nothing' is the same in all rows: list it under ignore",
    ]


def test_nothing_is_said_of_what_is_ignored(tmp_path: Path) -> None:
    assert remarks(tmp_path, table={"ignore": ["name", "twin", "nothing"]}) == {True: [], False: []}


def test_of_a_declared_text_all_may_be_different(tmp_path: Path) -> None:
    table = {"ignore": ["twin", "nothing"], "logical_types": {"name": "text"}}

    assert remarks(tmp_path, table=table) == {True: [], False: []}


def test_numbers_that_the_source_does_not_read_as_such_are_worth_a_look(tmp_path: Path) -> None:
    lines = [f"{row};{row},5;{row % 7}.5;0{row}" for row in range(90)]
    (tmp_path / "rows.csv").write_text("\n".join(["id;a;b;code", *lines]))
    source = {"path": str(tmp_path / "rows.csv"), "separator": ";", "decimal": ","}
    table = load_table("case", "rows", Table.model_validate({"source": source, "key": "id"}))

    ((column, why, remedy),) = [remark for remark in remarkable(table, {"id"}, set()) if remark[0] != "code"]

    assert (column, why) == ("b", "has texts that are numbers, written otherwise than its source says")
    assert 'compute try_cast("b" as double), or say that it is a category' in remedy
    assert not [remark for remark in remarkable(table, {"id"}, set(), {"b"}) if remark[0] == "b"]


def test_times_of_several_formats_are_worth_a_look(tmp_path: Path) -> None:
    frame = pd.DataFrame({"id": range(90), "when": ["2024-05-13", "13/05/2024", "14/05/2024"] * 30})
    frame.to_csv(tmp_path / "rows.csv", index=False)
    table = load_table(
        "case", "rows", Table.model_validate({"source": {"path": str(tmp_path / "rows.csv")}, "key": "id"})
    )

    ((column, why, remedy),) = remarkable(table, {"id"}, set())

    assert (column, why) == ("when", "has times written as %d/%m/%Y and as ISO 8601, each of which is a category")
    assert "compute coalesce(try_strptime" in remedy


def test_prose_that_is_read_as_categories_is_worth_a_look(tmp_path: Path) -> None:
    computed = {"computed": {"letter": "concat(name, ' wrote that nothing of this was of any use to him')"}}

    (remark,) = remarks(tmp_path, table={"ignore": ["name", "twin", "nothing"], **computed})[False]

    assert "'letter' is prose of 61 characters on average" in remark
    assert "write logical_types: {letter: text}, or list it under ignore" in remark


@pytest.mark.parametrize("rows", [100, None])
def test_a_declared_column_that_is_not_there_is_named_with_the_one_that_was_meant(
    rows: int | None, tmp_path: Path
) -> None:
    (wrong,) = remarks(tmp_path, rows, table={"ignore": ["nmae"]})[True]

    assert "the columns ['nmae'] are declared but the source has none such" in wrong
    assert "did you mean 'name'" in wrong


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        ({"target": "y"}, "0 or 1; 'y' has the numbers 0 (100 rows), 1 (100 rows), 2 (100 rows)"),
        ({"target": "yy = 1"}, "did you mean 'y'"),
        ({"target": "p-r.interval > 2"}, 'stands in quotes, "p-r.interval"'),
        ({"where": "id < 60"}, "splits_are_large_enough: test has 12 rows, needed: 20"),
        (
            {"split": {"validation_share": 0.25, "test_share": 0.25, "group": "p-r.interval"}},
            "splits_are_large_enough",
        ),
    ],
)
def test_what_stops_a_run_is_said_before_it(examples: dict[str, Any], message: str, tmp_path: Path) -> None:
    assert any(message in text for text in remarks(tmp_path, examples=examples)[True])


def test_no_column_by_which_a_row_of_another_table_is_found_is_called_useless(tmp_path: Path) -> None:
    shops = pd.DataFrame({"shop": range(17), "nothing": "same", "size": [row % 5 for row in range(17)]})
    shops.to_csv(tmp_path / "shops.csv", index=False)
    rows = {"source": {"path": str(tmp_path / "rows.csv")}, "key": "id", "ignore": ["name", "twin"]}
    tables = {"rows": rows, "shops": {"source": {"path": str(tmp_path / "shops.csv")}, "key": ["shop", "nothing"]}}

    answers = remarks(tmp_path, tables=tables, relationships=["rows.(x, nothing) -> shops.(shop, nothing)"])

    assert answers == {True: [], False: []}


def test_each_of_several_targets_is_looked_at(tmp_path: Path) -> None:
    ignore = {"ignore": ["name", "twin", "nothing"]}

    sound = remarks(tmp_path, table=ignore, examples={"target": {"one": "y = 1", "two": "x > 3"}})
    wrong = remarks(tmp_path, table=ignore, examples={"target": {"one": "y = 1", "two": "y"}})

    assert sound == {True: [], False: []}
    assert len(wrong[True]) == 1
    assert "'two' has the numbers 0 (100 rows), 1 (100 rows), 2 (100 rows)" in wrong[True][0]
    assert "target: {two: y = 2}" in wrong[True][0]
