"""What a target says of the task, whatever words it has."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ml.base.sql import DataError
from ml.declaration.use_case import UseCaseSpec
from ml.draft.declaration import Draft, draft
from ml.examples.build import make_examples
from ml.features.define import define_features
from ml.tables.sources import load_table

pytestmark = pytest.mark.filterwarnings("ignore")

ROWS = 240


def drafted(folder: Path, values: list[Any], **columns: Any) -> Draft:
    """Return the draft of a table whose target `y` has values in turn."""
    more = {name: [column[row % len(column)] for row in range(ROWS)] for name, column in columns.items()}
    rows = pd.DataFrame({"id": range(ROWS), "x": [row % 17 for row in range(ROWS)], **more})
    rows.assign(y=[values[row % len(values)] for row in range(ROWS)]).to_csv(folder / "rows.csv", index=False)
    return draft("case", [str(folder / "rows.csv")], "y")


def examples_of(answer: Draft) -> pd.DataFrame:
    """Return the examples that a draft makes."""
    spec = UseCaseSpec.model_validate(answer.attributes)
    tables = {name: load_table("case", name, table, spec.times_of(name)) for name, table in spec.tables.items()}
    return make_examples("case", spec, tables).to_pandas()


@pytest.mark.parametrize(
    ("values", "target"),
    [
        (["Yes ", "no"], "y = 'Yes '"),
        (["NO", "quit"], "y = 'quit'"),
        (["active", "gone", "active"], "y = 'gone'"),
        (["good", "bad"], "y = 'bad'"),
        ([-1, 1], "y = 1"),
        ([0, 2], "y = 2"),
        (["f", "t"], "y = 't'"),
        (["Y", "N", "y"], "lower(trim(y)) = 'y'"),
        (["no", "No ", "YES", "yes"], "lower(trim(y)) = 'yes'"),
        (["nein", "ja", "nein"], "y = 'ja'"),
    ],
)
def test_of_two_values_the_one_that_says_yes_is_asked_for(values: list[Any], target: str, tmp_path: Path) -> None:
    answer = drafted(tmp_path, values)

    assert (answer.attributes["task"], answer.attributes["examples"]["target"]) == ("binary", target)
    assert examples_of(answer)["target"].sum() == sum(
        str(values[row % len(values)]) in {part for part in map(str, values) if positive(part, target)}
        for row in range(ROWS)
    )


def positive(value: str, target: str) -> bool:
    """Return whether a value is the one of an expression."""
    asked = target.split(" = ")[1].strip("'")
    return (value.strip().lower() if target.startswith("lower") else value) == asked


def test_rows_are_counted_whatever_another_column_is_called_and_lacks(tmp_path: Path) -> None:
    answer = drafted(tmp_path, ["a", "b", "c"], x=[1.5, None], before=[None, 2.5])

    assert "y has 3 values, a (80 rows), b (80 rows), c (80 rows)" in answer.text


@pytest.mark.parametrize("texts", [["$1,200.50", "$7", "$80.25"], ["12.5%", "3%", "7%"]])
def test_amounts_are_a_number_to_predict(texts: list[str], tmp_path: Path) -> None:
    answer = drafted(tmp_path, texts)

    assert answer.attributes["task"] == "regression"
    numbers = [float(text.strip("$%").replace(",", "")) for text in texts]
    assert sorted(set(examples_of(answer)["target"])) == sorted(numbers)


@pytest.mark.parametrize(
    ("texts", "numbers"),
    [
        (["12,50 €", "7,05 €", "1.200,00 €"], [12.5, 7.05, 1200.0]),
        (["€ 1 200,50", "€ 7", "-€ 3"], [1200.5, 7.0, -3.0]),
        (["$1,200", "$7.25", "$3"], [1200.0, 7.25, 3.0]),
        (["12,5 %", "3 %", "7,25 %"], [12.5, 3.0, 7.25]),
        (["£1,200", "£2,300,400", "£3"], [1200.0, 2_300_400.0, 3.0]),
        ([*(f"{row} €" for row in range(40)), "7,5 €"], [*map(float, range(40)), 7.5]),
    ],
)
def test_amounts_are_read_by_the_marks_that_all_of_them_fit(
    texts: list[str], numbers: list[float], tmp_path: Path
) -> None:
    answer = drafted(tmp_path, texts)

    assert answer.attributes["task"] == "regression"
    assert sorted(set(examples_of(answer)["target"])) == sorted(numbers)


def test_a_text_among_amounts_that_is_none_is_no_example(tmp_path: Path) -> None:
    rows = pd.DataFrame({"id": range(600), "x": range(600), "y": [f"${row % 30}.50" for row in range(600)]})
    rows.loc[[7, 77], "y"] = ["on request", None]
    rows.to_csv(tmp_path / "rows.csv", index=False)

    examples = examples_of(draft("case", [str(tmp_path / "rows.csv")], "y"))

    assert len(examples) == 598
    assert examples["target"].notna().all()


def test_the_column_that_is_predicted_is_no_key(tmp_path: Path) -> None:
    values = list(range(ROWS, 0, -1))

    tables = drafted(tmp_path, values).attributes["tables"]
    unnamed = draft("case", [str(tmp_path / "rows.csv")], "id").attributes["tables"]

    assert (tables["rows"]["key"], unnamed["rows"]["key"]) == ("id", "y")


def test_a_column_with_a_name_that_every_example_has_is_no_feature(tmp_path: Path) -> None:
    answer = drafted(tmp_path, [0, 1], cutoff=[1.5, 2.5, 3.5], split=["a", "b", "c"], Target=[4, 5, 7])

    assert answer.attributes["tables"]["rows"]["ignore"] == ["cutoff", "split", "Target"]
    spec = UseCaseSpec.model_validate(answer.attributes)
    tables = {name: load_table("case", name, table, spec.times_of(name)) for name, table in spec.tables.items()}
    assert [feature.name for feature in define_features("case", spec, tables).features] == ["x"]


def test_files_of_the_same_columns_are_to_be_one_table(tmp_path: Path) -> None:
    for name in ("jan", "feb"):
        pd.DataFrame({"id": range(60), "x": range(60), "y": [0, 1] * 30}).to_csv(tmp_path / f"{name}.csv", index=False)

    with pytest.raises(
        DataError, match=r"say which: jan\.y, feb\.y\. Files of the same columns are one table: put them"
    ):
        draft("case", [str(tmp_path / "jan.csv"), str(tmp_path / "feb.csv")], "y")


def test_two_classes_beside_rare_ones_are_a_binary_task(tmp_path: Path) -> None:
    values = ["Y", "N"] * 118 + ["maybe"] * 4

    answer = drafted(tmp_path, values)

    assert answer.attributes["task"] == "binary"
    assert answer.attributes["examples"]["where"] == "y not in ('maybe')"
    assert len(examples_of(answer)) == 236


@pytest.mark.parametrize("values", [[f"class {row}" for row in range(ROWS)], ["a"] * 235 + list("bcdef")])
def test_classes_of_a_few_rows_are_nothing_to_learn_from(values: list[Any], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="too few to learn a class from"):
        drafted(tmp_path, values)


def test_a_value_or_none_is_a_binary_task_and_a_question(tmp_path: Path) -> None:
    answer = drafted(tmp_path, ["left", None, None])

    assert answer.attributes["examples"]["target"] == "y is not null"
    assert any("does a row without y say no?" in question for question in answer.questions)
    assert examples_of(answer)["target"].sum() == ROWS / 3


def test_a_column_that_says_the_target_in_other_words_is_no_feature(tmp_path: Path) -> None:
    answer = drafted(tmp_path, ["Y", "N", "N"], code=[7, 3, 3], half=[7, 3], Y=["a", "b", "c"])

    assert answer.attributes["tables"]["rows"]["ignore"] == ["Y", "code"]
    assert "it says y in other words" in answer.text


@pytest.mark.parametrize("target", ["y", "Y"])
def test_of_names_that_differ_by_case_the_target_is_read(target: str, tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"id": range(ROWS), "y": [row % 2 for row in range(ROWS)], "x": [row % 9 for row in range(ROWS)]}
    )
    frame.assign(Y=[row % 7 / 2 for row in range(ROWS)]).to_csv(tmp_path / "rows.csv", index=False)

    answer = draft("case", [str(tmp_path / "rows.csv")], target)

    assert answer.attributes["tables"]["rows"]["ignore"] == ["Y" if target == "y" else "y"]
    assert answer.attributes["task"] == ("binary" if target == "y" else "regression")
    assert len(examples_of(answer)) == ROWS


def test_a_time_that_comes_later_is_asked_about(tmp_path: Path) -> None:
    days = pd.date_range("2024-01-01", periods=ROWS)
    answer = drafted(
        tmp_path,
        [0, 1, 1],
        ordered_at=[f"{day.date()}" for day in days],
        came=[f"{day.date()}" for day in days.shift(2)],
    )

    assert any("came comes after ordered_at: what else came with it?" in question for question in answer.questions)
    assert "# known_at: {came: [...]}  # in tables.rows" in answer.text


@pytest.mark.parametrize("time", ["Order Date", "order.date", 'the "day"', "order"])
def test_a_time_of_any_name_is_a_cutoff(time: str, tmp_path: Path) -> None:
    answer = drafted(tmp_path, [0, 1, 1], **{time: [f"{day}" for day in pd.date_range("2024-01-01", periods=ROWS)]})

    assert (examples_of(answer)["cutoff"].dt.year == 2024).all()


@pytest.mark.parametrize("name", ["target", "cutoff", "split"])
def test_a_column_that_every_example_has_is_no_key(name: str, tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {name: range(ROWS), "x": [row % 9 for row in range(ROWS)], "y": [row % 2 for row in range(ROWS)]}
    )
    frame.to_csv(tmp_path / "rows.csv", index=False)

    answer = draft("case", [str(tmp_path / "rows.csv")], "y")

    assert answer.attributes["tables"]["rows"]["key"] == "row_number"
    assert len(examples_of(answer)) == ROWS
