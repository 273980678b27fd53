"""Drafts of declarations: what each of eight data sets needs is in the draft of it, and the draft runs as it stands."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from ml.base.sql import DataError
from ml.declaration.tables import Table
from ml.declaration.use_case import UseCaseSpec
from ml.draft.declaration import Draft, NoTargetError, draft
from ml.examples.audit import audit_examples
from ml.examples.build import make_examples
from ml.features.define import define_features
from ml.tables.computed import with_computed
from ml.tables.sources import load_table
from tests.support import twins

pytestmark = pytest.mark.filterwarnings("ignore")


def drafted(twin: Callable[[Path], list[str]], folder: Path) -> Draft:
    return draft("case", twin(folder), twins.TWINS[twin])


@pytest.mark.parametrize("twin", twins.TWINS)
def test_a_draft_makes_examples_and_features_without_an_edit(twin: Callable[[Path], list[str]], tmp_path: Path) -> None:
    attributes = yaml.safe_load(drafted(twin, tmp_path).text)["attributes"]
    spec = UseCaseSpec.model_validate(attributes)
    tables = {name: load_table("case", name, table, spec.times_of(name)) for name, table in spec.tables.items()}

    examples = make_examples("case", spec, tables)
    definitions = define_features("case", spec, tables)

    assert set(examples["split"].to_pylist()) == {"train", "validation", "test"}
    assert definitions.features
    stopping = [finding for finding in audit_examples(spec, tables, examples) if finding.faults]
    assert [finding.check for finding in stopping if finding.check != "equal_rows_in_one_split"] == []


def test_blanks_among_numbers_are_missing_and_a_row_without_an_answer_is_no_example(tmp_path: Path) -> None:
    attributes = drafted(twins.customers, tmp_path).attributes

    table = attributes["tables"]["customers"]
    assert table["source"]["missing"] == {"TotalCharges": [" "]}
    assert table["key"] == "customerID"
    assert "ignore" not in table
    assert attributes["task"] == "binary"
    assert attributes["examples"] == {
        "table": "customers",
        "where": "Churn is not null",
        "target": "Churn = 'Yes'",
        "split": {"validation_share": 0.2, "test_share": 0.2},
    }


def test_days_are_read_as_they_are_written_and_what_adds_up_to_the_target_is_no_feature(tmp_path: Path) -> None:
    attributes = drafted(twins.bikes, tmp_path).attributes

    table = attributes["tables"]["hour"]
    assert table["source"]["dates"] == {"dteday": "%m/%d/%y"}
    assert (table["key"], table["time"]) == ("instant", "dteday")
    assert table["ignore"] == ["casual", "registered"]
    assert attributes["task"] == "regression"
    assert attributes["examples"]["cutoff"] == "dteday"
    assert attributes["examples"]["split"] == {
        "train_until": date(2011, 2, 12),
        "validate_until": date(2011, 2, 21),
    }


def test_several_files_are_related_by_their_keys(tmp_path: Path) -> None:
    attributes = drafted(twins.films, tmp_path).attributes

    tables = attributes["tables"]
    assert {name: table["key"] for name, table in tables.items()} == {
        "ratings": ["userId", "movieId"],
        "movies": "movieId",
        "users": "userId",
    }
    assert tables["ratings"]["source"]["unit"] == {"timestamp": "s"}
    assert tables["ratings"]["time"] == "timestamp"
    assert tables["users"]["source"]["separator"] == ";"
    assert set(attributes["relationships"]) == {"ratings.movieId -> movies.movieId", "ratings.userId -> users.userId"}
    assert attributes["examples"]["table"] == "ratings"


def test_rows_without_a_key_are_named_by_their_place_and_grades_are_numbers(tmp_path: Path) -> None:
    attributes = drafted(twins.wines, tmp_path).attributes

    table = attributes["tables"]["wine"]
    assert table["source"] == {"path": str(tmp_path / "wine.csv"), "separator": ";"}
    assert table["key"] == "row_number"
    assert attributes["task"] == "regression"


def test_a_file_without_a_header_and_with_question_marks_has_classes_that_are_frequent_enough(tmp_path: Path) -> None:
    attributes = drafted(twins.hearts, tmp_path).attributes

    table = attributes["tables"]["arrhythmia"]
    assert table["source"] | {"path": ""} == {"path": "", "format": "csv", "header": False, "missing": ["?"]}
    assert table["ignore"] == ["column31", "column32", "column33"]
    assert attributes["task"] == "multiclass"
    assert attributes["examples"]["where"] == "column34 not in (8)"


def test_a_word_for_missing_is_so_among_texts_too(tmp_path: Path) -> None:
    text = " ".join(drafted(twins.houses, tmp_path).text.replace("#", "").split())

    assert "missing: [NA]" in text
    assert "'NA' could also be a value of its own in Alley: then leave it out" in text


def test_prose_is_a_text_whose_words_count(tmp_path: Path) -> None:
    rows = [
        f"{number},was the {number}. that wrote us a very long letter,{number % 7},{number % 2}"
        for number in range(200)
    ]
    (tmp_path / "letters.csv").write_text("\n".join(["id,letter,size,answered", *rows]))

    text = draft("case", [str(tmp_path / "letters.csv")], "answered").text

    (table,) = (attributes := yaml.safe_load(text)["attributes"])["tables"].values()
    assert table["logical_types"] == {"letter": "text"}
    assert "ignore" not in table
    assert "# prose of 44 characters on average: its words count, not which it is" in text
    spec = UseCaseSpec.model_validate(attributes)
    loaded = {name: load_table("case", name, one, spec.times_of(name)) for name, one in spec.tables.items()}
    assert [text.column for text in define_features("case", spec, loaded).texts] == ["letter"]


def test_marks_of_another_country_are_read_by_its_rules(tmp_path: Path) -> None:
    attributes = drafted(twins.turnover, tmp_path).attributes

    (table,) = attributes["tables"].values()
    assert table["source"] | {"path": ""} == {
        "path": "",
        "encoding": "cp1252",
        "separator": ";",
        "missing": {"Wärme": [-999]},
        "decimal": ",",
        "thousands": ".",
        "dates": {"Eröffnet": "%d.%m.%Y"},
    }
    assert attributes["examples"]["target"] == "\"Kündigung\" = 'ja'"


@pytest.mark.parametrize("group", [" ", "\u00a0", "\u202f", "'"])
@pytest.mark.parametrize("point", [",", "."])
def test_digits_in_groups_are_numbers(group: str, point: str, tmp_path: Path) -> None:
    numbers = [1234567.5, 12.25, 999.5, -20500.75]
    texts = [f"{number:_.2f}".replace(".", point).replace("_", group) for number in numbers]
    lines = [f"{row};{texts[row % 4]};{row % 2}" for row in range(60)]
    (tmp_path / "rows.csv").write_text("\n".join(["id;amount;y", *lines]))

    table = draft("case", [str(tmp_path / "rows.csv")], "y").attributes["tables"]["rows"]

    loaded = load_table("case", "rows", Table.model_validate(table), {})
    assert loaded["amount"].to_pylist()[:4] == numbers


def test_times_of_several_formats_are_asked_about_with_what_computes_them(tmp_path: Path) -> None:
    formats = ["%Y-%m-%d", "%d/%m/%Y", "%m-%d-%y %H:%M"]
    days = [datetime(2024, 1, 1) + timedelta(days=place % 200) for place in range(300)]
    lines = [f"{place},{day.strftime(formats[place % 3])},{place % 2},{place % 7}" for place, day in enumerate(days)]
    (tmp_path / "rows.csv").write_text("\n".join(["id,when,y,x", *lines]))

    answer = draft("case", [str(tmp_path / "rows.csv")], "y")

    (question,) = answer.questions
    assert "is when a time? Its texts are written as" in question
    at = next(place for place, line in enumerate(answer.text.splitlines()) if "computed:" in line)
    computed = yaml.safe_load("\n".join(line.strip(" ")[2:] for line in answer.text.splitlines()[at : at + 2]))
    table = answer.attributes["tables"]["rows"] | computed | {"time": "when_time", "ignore": ["when"]}
    loaded = load_table("case", "rows", Table.model_validate(table), {})
    assert with_computed("rows", Table.model_validate(table), loaded)["when_time"].to_pylist() == days


def test_rows_that_point_at_an_example_are_synthesized(tmp_path: Path) -> None:
    attributes = drafted(twins.shop, tmp_path).attributes

    assert attributes["relationships"] == ["orders.customer_id -> customers.customer_id"]
    assert attributes["tables"]["orders"]["time"] == "ordered_at"
    assert attributes["features"] == {"synthesis": {"aggregations": ["count", "sum", "mean", "max"]}}
    assert attributes["examples"]["target"] == '"left"'


def test_only_a_person_knows_the_target(tmp_path: Path) -> None:
    with pytest.raises(NoTargetError, match="name it with --target; likely are Churn") as refused:
        draft("case", twins.customers(tmp_path), None)

    assert refused.value.likely[0] == "Churn"
    assert "customerID" not in refused.value.likely


def test_dates_that_fit_two_formats_are_asked_about(tmp_path: Path) -> None:
    rows = [f"{n},{n % 12 + 1:02d}/{n % 11 + 1:02d}/2024,{n % 7}" for n in range(300)]
    (tmp_path / "x.csv").write_text("\n".join(["id,day,y", *rows]))

    answer = draft("case", [str(tmp_path / "x.csv")], "y")

    assert any("written as %d/%m/%Y or as %m/%d/%Y?" in question for question in answer.questions)


@pytest.mark.parametrize(
    ("content", "target", "message"),
    [
        ("a,b\n1,2\n2,3\n", "c", "no file has the column 'c'. There are a, b"),
        ("1,2\n2,3\n3,4\n", "c", "There are column1, column2. The first line of .*x.csv looks like the others"),
        ("age,b\n1,2\n2,3\n", "agee", "did you mean 'age'"),
        ("a,b\n1,2\n2,2\n", "b", "the target 'b' of .* is 2 in all 2 rows"),
        ("a,b\n1,2024-01-01\n2,2024-01-02\n", "b", "the target 'b' of .* is a time"),
        ("", "b", "is empty"),
        ("a,b\n", "b", "has no rows"),
    ],
)
def test_what_nothing_can_be_learned_from_is_refused(content: str, target: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(content)

    with pytest.raises(DataError, match=message):
        draft("case", [str(tmp_path / "x.csv")], target)


@pytest.mark.parametrize(
    ("values", "task", "target"),
    [
        (["yes", "no"], "binary", "y = 'yes'"),
        (["it's", "so"], "binary", None),
        ([0, 1], "binary", "y = 1"),
        (["true", "false"], "binary", "y"),
        ([0, 1, 2], "multiclass", "y"),
        (["a", "b", "c"], "multiclass", "y"),
        ([*range(1, 11)], "regression", "y"),
        ([0.5, 1.5, 2.5], "regression", "y"),
    ],
)
def test_values_say_the_task(values: list[Any], task: str, target: str | None, tmp_path: Path) -> None:
    lines = [f"{row},{row % 17},{values[row % len(values)]}" for row in range(300)]
    (tmp_path / "x.csv").write_text("\n".join(["id,x,y", *lines]))

    attributes = draft("case", [str(tmp_path / "x.csv")], "y").attributes

    assert attributes["task"] == task
    if target is not None:
        assert attributes["examples"]["target"] == target
