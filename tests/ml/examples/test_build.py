"""The split: stratified, repeatable, and steady as rows are added."""

from datetime import datetime, timedelta
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.base.sql import DataError
from ml.declaration.use_case import UseCaseSpec
from ml.examples.build import make_examples, scored_rows
from ml.examples.known import known_columns
from ml.features.define import define_features
from ml.tasks.counting import GROUP
from ml.tasks.row_weights import WEIGHT
from ml.tasks.task import Kind
from tests.support import labelled


def split(keys: list[int], seed: int = 0) -> dict[int, tuple[str, int]]:
    """Split and target of each key; every third one is positive."""
    spec = UseCaseSpec.model_validate(
        {
            "description": "Which?",
            "seed": seed,
            "tables": {"rows": {"source": {"path": "rows.csv"}, "key": "id"}},
            "examples": {
                "table": "rows",
                "target": "id % 3 = 0",
                "split": {"validation_share": 0.2, "test_share": 0.3},
            },
            "models": {"logistic": {}},
        }
    )
    rows = make_examples("case", spec, {spec.examples.table: pa.table({"id": keys})}).to_pylist()
    return {row["id"]: (row["split"], row["target"]) for row in rows}


def test_each_class_has_the_declared_shares() -> None:
    rows = list(split(list(range(3000))).values())

    for target, size in ((1, 1000), (0, 2000)):
        shares = {name: rows.count((name, target)) / size for name in ("train", "validation", "test")}
        assert shares == pytest.approx({"train": 0.5, "validation": 0.2, "test": 0.3})


def test_the_order_of_rows_does_not_matter_and_the_seed_does() -> None:
    keys = list(range(600))

    assert split(keys) == split(keys[::-1])
    assert split(keys) != split(keys, seed=1)


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(added=st.integers(1, 1500), before=st.booleans())
def test_new_rows_never_turn_a_training_row_into_a_test_row(added: int, before: bool) -> None:
    keys, new = list(range(3000)), list(range(3000, 3000 + added))

    first, then = split(keys), split(new + keys if before else keys + new)

    assert [key for key in keys if first[key][0] == "train" and then[key][0] == "test"] == []
    assert sum(first[key] != then[key] for key in keys) < 0.05 * len(keys)


def examples_of(task: Kind, targets: list[Any], *, query: bool | str = False) -> list[dict[str, Any]]:
    """The examples of a table of targets, split by time: two fifths train, two validate, one tests."""
    times = [datetime(2024, 1, 1) + timedelta(days=10 * (5 * row // len(targets))) for row in range(len(targets))]
    usual = "select id, seen as cutoff, y as target from rows"
    question = {"query": usual if query is True else query} if query else {"target": "y", "cutoff": "seen"}
    spec = UseCaseSpec.model_validate(
        {
            "description": "Which?",
            "task": task,
            "tables": {"rows": {"source": {"path": "rows.csv"}, "key": "id", "time": "seen"}},
            "examples": {
                "table": "rows",
                "split": {"train_until": "2024-01-21", "validate_until": "2024-02-10"},
                **question,
            },
            "models": {"lightgbm": {}},
        }
    )
    tables = {"rows": pa.table({"id": range(len(targets)), "seen": times, "y": targets})}
    return make_examples("case", spec, tables).to_pylist()


@pytest.mark.parametrize("query", [False, True])
@pytest.mark.parametrize(
    ("task", "targets", "expected"),
    [
        ("binary", [True, False] * 5, [1, 0] * 5),
        ("binary", [1.0, 0.0] * 5, [1, 0] * 5),
        ("binary", ["yes", "false"] * 5, [1, 0] * 5),
        ("multiclass", ["a", "b"] * 5, ["a", "b"] * 5),
        ("multiclass", [3, 1] * 5, ["3", "1"] * 5),
        ("regression", [3, 1] * 5, [3.0, 1.0] * 5),
    ],
)
def test_a_target_becomes_what_the_task_needs(task: Kind, targets: list[Any], expected: list[Any], query: bool) -> None:
    assert [row["target"] for row in examples_of(task, targets, query=query)] == expected


@pytest.mark.parametrize("query", [False, True])
def test_a_class_that_is_a_whole_number_has_one_name_whatever_type_it_came_as(query: bool) -> None:
    names = [
        {row["target"] for row in examples_of("multiclass", [kind(number) for number in [1, 2] * 10], query=query)}
        for kind in (int, float, str)
    ]

    assert names == [{"1", "2"}] * 3
    assert {row["target"] for row in examples_of("multiclass", [1.5, 2.0] * 10)} == {"1.5", "2"}


@pytest.mark.parametrize("kind", ["int", "double", "hugeint", "decimal(9, 0)", "utinyint"])
def test_a_query_may_give_the_key_as_any_number(kind: str) -> None:
    query = f"select id::{kind} as id, seen as cutoff, y as target from rows"

    examples = examples_of("binary", [True, False] * 5, query=query)

    assert sorted(row["id"] for row in examples) == list(range(10))
    assert {type(row["id"]) for row in examples} == {int}


def test_a_query_that_gives_the_key_as_a_text_is_refused_by_name() -> None:
    query = "select id::varchar as id, seen as cutoff, y as target from rows"

    with pytest.raises(DataError, match=r"examples.query: the key \['id'\] is .*string.*never equal"):
        examples_of("binary", [True, False] * 5, query=query)


def test_rows_of_a_query_without_a_class_are_no_examples() -> None:
    assert len(examples_of("multiclass", ["a", "b", "a", "b", None] * 4, query=True)) == 16


@pytest.mark.parametrize(
    ("task", "targets", "message"),
    [
        ("multiclass", ["a", "b"] * 4 + ["c", "a"], "class 'c' has 1 rows in test and none in train; leave such rows"),
        ("multiclass", ["a", "b"] * 4 + ["a", "a"], "one class only in the test split: all 2 rows are a"),
        ("multiclass", ["a", None] * 5, "is null in 5 of 10 rows; leave these rows out with examples.where"),
        ("multiclass", [*map(str, range(5000))], "2000 classes in the train split, allowed: 1000; .* task: regression"),
        ("regression", [1.0, 2.0] * 4 + [3.0, 3.0], "the same number only in the test split: all 2 rows are 3.0"),
        ("regression", [1.0, 2.0] * 4 + [3.0, float("inf")], "is null in 1 of 10 rows"),
        ("regression", ["one", "two"] * 5, "Could not convert string 'one' to DOUBLE"),
        ("binary", [0.5, 0.0] * 5, r"true or false, or 0 or 1; 'y' has the numbers .*0\.5 \(5 rows\)"),
        ("binary", [True, False] * 4 + [True, True], "one class only in the test split: all 2 rows are True"),
    ],
)
def test_a_target_that_cannot_be_learned_is_refused_with_a_remedy(task: Kind, targets: list[Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        examples_of(task, targets)


def test_numbers_are_split_by_their_keys_alone() -> None:
    def drawn(target: str) -> list[str]:
        spec = UseCaseSpec.model_validate(
            {
                "description": "How much?",
                "task": "regression",
                "tables": {"rows": {"source": {"path": "rows.csv"}, "key": "id"}},
                "examples": {
                    "table": "rows", "target": target, "split": {"validation_share": 0.2, "test_share": 0.3}
                },
                "models": {"ridge": {}},
            }
        )  # fmt: skip
        rows = make_examples("case", spec, {"rows": pa.table({"id": range(1000)})}).to_pylist()
        return [row["split"] for row in rows]

    splits = drawn("id")

    assert splits == drawn("id % 7")
    assert {name: splits.count(name) for name in set(splits)} == {"train": 500, "validation": 200, "test": 300}


ODD = 'my "key" is :x, 100 %s'


def odd_examples(question: dict[str, Any], key: str = ODD, **table: Any) -> tuple[UseCaseSpec, dict[str, pa.Table]]:
    """Return a declaration with a key of an odd name, and forty rows: of the ratio a / b eight are not known."""
    declared = {
        "description": "Which?",
        "tables": {name: {"source": {"path": "rows.csv"}, "key": key, **table} for name in ("rows", "query", "where")},
        "examples": {"table": "rows", "split": {"validation_share": 0.2, "test_share": 0.2}, **question},
        "models": {"logistic": {}},
    }
    numbers = range(40)
    at = [datetime(2024, 1, 1) + timedelta(days=number) for number in numbers]
    rows = {key: numbers, "a": [n % 2 for n in numbers], "b": [min(n % 5, 1) * 1.0 for n in numbers], "seen": at}
    return UseCaseSpec.model_validate(declared), dict.fromkeys(("rows", "query", "where"), pa.table(rows))


@pytest.mark.parametrize("table", ["rows", "query", "where"])
@pytest.mark.parametrize("end", ["", ";", " -- the end"])
def test_a_query_runs_as_it_is_written_whatever_names_and_texts_it_has(table: str, end: str) -> None:
    name = ODD.replace('"', '""')
    columns, condition = f'"{name}", seen as cutoff, a / b > 0.5 as target', "':x::text %s' like '%:x%'"
    query = f'select {columns} from "{table}" where {condition}{end}'
    spec, tables = odd_examples({"query": query})

    rows = make_examples("case", spec, tables).to_pylist()

    known = [number for number in range(40) if number % 5]
    assert {row[ODD]: row["target"] for row in rows} == {number: number % 2 for number in known}
    assert scored_rows("case", spec, tables, "target is null").num_rows == 8


def test_a_target_of_a_ratio_that_does_not_exist_is_null_and_never_positive() -> None:
    spec, tables = odd_examples({"target": "a / b > 0.5"})
    with pytest.raises(DataError, match="is null in 8 of 40 rows"):
        make_examples("case", spec, tables)

    spec, tables = odd_examples({"target": "a / b > 0.5", "where": "a / b is not null -- the others"})

    rows = make_examples("case", spec, tables).to_pylist()

    assert {row[ODD]: row["target"] for row in rows} == {number: number % 2 for number in range(40) if number % 5}


def test_a_condition_with_or_is_one_condition() -> None:
    spec, tables = odd_examples({"target": "a = 1", "where": "a = 1 or b = 1 -- both", "cutoff": "seen"})
    seen = tables["rows"]["seen"].to_pylist()
    tables["rows"] = tables["rows"].set_column(3, "seen", pa.array([None, None, *seen[2:]], pa.timestamp("us")))

    rows = scored_rows("case", spec, tables, "a = 1 or b = 1 -- both")

    assert rows["cutoff"].null_count == 0
    assert rows[ODD].to_pylist() == [number for number in range(2, 40) if number % 2 or number % 5]


def test_a_word_for_the_present_in_quotes_needs_a_column_of_its_name() -> None:
    spec, tables = odd_examples({"target": "a = 1", "where": '"current_date" is not null'})

    with pytest.raises(DataError, match=r"'rows', examples: .* names \['current_date'\], which are no columns"):
        make_examples("case", spec, tables)


def test_a_text_that_is_no_number_makes_no_number_of_a_query() -> None:
    name = ODD.replace('"', '""')
    target = f"case a when 1 then 'nan' else \"{name}\"::varchar end"
    query = f'select "{name}", seen as cutoff, {target} as target from rows'
    spec, tables = odd_examples({"query": query})
    spec = spec.model_copy(update={"task": "regression"})

    rows = make_examples("case", spec, tables).to_pylist()

    assert {row[ODD] % 2 for row in rows} == {0}


def weighed(amounts: Any, columns: dict[str, Any] | None = None, **examples: Any) -> pa.Table:
    """Examples of 60 rows whose column `amount` says how much each counts."""
    spec = UseCaseSpec.model_validate(
        {
            "description": "Which?",
            "tables": {"rows": {"source": {"path": "rows.csv"}, "key": "id"}},
            "examples": {
                "table": "rows",
                "target": "id % 3 = 0",
                "weights": "amount",
                "split": {"validation_share": 0.2, "test_share": 0.3},
                **examples,
            },
            "models": {"logistic": {}},
        }
    )
    table = pa.table({"id": list(range(60)), "amount": amounts, "x": [1] * 60, **(columns or {})})
    return make_examples("case", spec, {"rows": table})


@pytest.mark.parametrize("kind", [pa.int32(), pa.float32(), pa.decimal128(30, 2)])
def test_each_example_has_the_weight_of_its_row(kind: pa.DataType) -> None:
    rows = weighed(pa.array([key + 1 for key in reversed(range(60))]).cast(kind)).to_pylist()

    assert {row["id"]: row[WEIGHT] for row in rows} == {key: 60.0 - key for key in range(60)}
    assert WEIGHT not in weighed([1] * 60, weights="balanced").column_names


@pytest.mark.parametrize(
    ("amounts", "examples", "message"),
    [
        (
            [0, -1, None, float("inf"), float("nan"), *[1.0] * 55],
            {},
            r"\(amount\) is missing, 0, .* in 5 of 60 ",
        ),
        ([1e-310, 1e308, 1e31, *[1.0] * 57], {}, r"\(amount\) is .* or beyond 1e-30 to 1e\+30 in 3 of 60 "),
        (["a"] * 60, {}, "names the column 'amount', which holds string, no numbers"),
        ([True] * 60, {}, "names the column 'amount', which holds bool, no numbers"),
        ([None] * 60, {}, "names the column 'amount', which holds null, no numbers"),
        (
            [1] * 60,
            {"weights": "amont"},
            r"examples.weights names the columns \['amont'\], but the table has",
        ),
    ],
)
def test_a_weight_that_is_no_number_above_zero_is_refused(amounts: Any, examples: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        weighed(amounts, **examples)


def ranked(sites: Any, **examples: Any) -> pa.Table:
    """Examples of 60 rows that are ranked within the values of `site`."""
    return weighed([1] * 60, **{"weights": None, "ranked_within": "site", **examples}, columns={"site": sites})


def test_each_example_has_the_group_of_its_row_and_no_group_is_in_two_splits() -> None:
    rows = ranked([f"site {key % 20}" for key in range(60)]).to_pylist()

    assert {row["id"]: row[GROUP] for row in rows} == {key: f"site {key % 20}" for key in range(60)}
    splits = {site: {row["split"] for row in rows if row[GROUP] == site} for site in (f"site {n}" for n in range(20))}
    assert {len(names) for names in splits.values()} == {1}


def test_rows_of_a_query_may_be_ranked_within_their_cutoff() -> None:
    query = "select id, timestamp '2024-01-01' + interval 1 day * (id % 5) as cutoff, id % 3 = 0 as target from rows"
    rows = ranked([None] * 60, ranked_within="cutoff", query=query, target=None).to_pylist()

    assert all(row[GROUP] == row["cutoff"] for row in rows)


@pytest.mark.parametrize(
    ("sites", "examples", "message"),
    [
        (
            [None, *map(str, range(59))],
            {},
            r"examples\.ranked_within \(site\) is missing in 1 of 60 examples; leave these rows",
        ),
        (
            ["a"] * 60,
            {"ranked_within": "sight"},
            r"examples.ranked_within names the columns \['sight'\], but the table",
        ),
    ],
)
def test_a_group_that_is_not_there_is_refused(sites: Any, examples: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        ranked(sites, **examples)


@pytest.mark.parametrize(
    ("known", "features", "names"),
    [
        (None, {}, {"x"}),
        (["x", "site"], {}, {"x", "site"}),
        (["x"], {}, {"x"}),
        (None, {"only": ["x", "site"]}, {"x", "site"}),
        (None, {"only": ["*"]}, {"x"}),
    ],
)
def test_the_group_is_no_feature_unless_it_is_named(
    known: list[str] | None, features: dict[str, Any], names: set[str]
) -> None:
    declared = {"table": "rows", "target": "id > 1", "ranked_within": "site", "known": known}
    spec = UseCaseSpec.model_validate(
        {
            "description": "Which?",
            "tables": {"rows": {"source": {"path": "rows.csv"}, "key": "id"}},
            "examples": {**declared, "split": {"validation_share": 0.2, "test_share": 0.3}},
            "models": {"logistic": {}},
            "features": features,
        }
    )
    table = pa.table({"id": [1, 2, 3], "site": ["a", "b", "a"], "x": [2, 3, 4]})

    assert {feature.name for feature in define_features("case", spec, {"rows": table}).features} == names


def test_a_history_may_be_of_the_group_that_is_no_feature_by_itself() -> None:
    spec = UseCaseSpec.model_validate(
        {
            "description": "Which?",
            "tables": {"rows": {"source": {"path": "rows.csv"}, "key": "id", "time": "at", "known_at": {"1d": ["y"]}}},
            "examples": {
                "table": "rows",
                "target": "y > 1",
                "cutoff": "at",
                "ranked_within": "user",
                "split": {"train_until": "2024-01-02", "validate_until": "2024-01-03"},
            },
            "features": {"history": {"table": "rows", "group_by": ["user"], "windows": ["7d"]}},
            "models": {"logistic": {}},
        }
    )
    times = [datetime(2024, 1, day) for day in (1, 2, 3)]
    table = pa.table({"id": [1, 2, 3], "user": ["a", "b", "a"], "at": times, "at+1d": times, "y": [1.0, 2.0, 3.0]})

    names = {feature.name for feature in define_features("case", spec, {"rows": table}).features}

    assert "user" not in names
    assert any("user" in name for name in names)


def test_the_weights_are_no_feature() -> None:
    spec = UseCaseSpec.model_validate(
        {
            "description": "Which?",
            "tables": {"rows": {"source": {"path": "rows.csv"}, "key": "id"}},
            "examples": {
                "table": "rows",
                "target": "id % 3 = 0",
                "weights": "amount",
                "split": {"validation_share": 0.2, "test_share": 0.3},
            },
            "models": {"logistic": {}},
        }
    )

    assert known_columns(spec, pa.table({"id": [1], "amount": [2], "x": [3]})) == ["x"]


def test_the_target_of_a_transform_is_the_number_and_its_column_no_feature() -> None:
    split = {"validation_share": 0.2, "test_share": 0.3}
    spec = UseCaseSpec.model_validate(
        {
            "description": "How much?",
            "task": "regression",
            "tables": {"rows": {"source": {"path": "rows.csv"}, "key": "id"}},
            "examples": {"table": "rows", "target": "log1p(price)", "split": split},
            "models": {"ridge": {}},
        }
    )
    table = pa.table({"id": range(30), "price": [n / 2 for n in range(30)], "x": [1] * 30})

    rows = make_examples("case", spec, {"rows": table}).to_pylist()

    assert {row["id"]: row["target"] for row in rows} == {n: n / 2 for n in range(30)}
    assert known_columns(spec, table) == ["id", "x"]


def by_column(values: list[Any], split: dict[str, Any], **more: Any) -> list[str]:
    """Return the split of each row of a table that has a column `fold` with some values, in the order of rows."""
    spec, tables = odd_examples({"target": "a = 1", "split": {"column": "fold", **split}}, "id", ignore=["fold"])
    columns = {"id": range(len(values)), "a": [n % 2 for n in range(len(values))], "fold": values, **more}
    rows = make_examples("case", spec, {**tables, "rows": pa.table(columns)})
    return [row["split"] for row in sorted(rows.to_pylist(), key=lambda row: row["id"])]


@pytest.mark.parametrize(
    ("values", "split"),
    [
        (["train", "validation", "test"], {}),
        ([1, 2, 3], {"train": [1], "validation": [2], "test": [3]}),
        ([1.0, 2.0, 3.0], {"train": ["1"], "validation": [2], "test": [3.0]}),
        (["01", "1", "x y"], {"train": ["01"], "validation": ["1"], "test": ["x y"]}),
    ],
)
def test_a_column_says_which_rows_train(values: list[Any], split: dict[str, Any]) -> None:
    of_rows = [value for value in values for _ in range(4)]

    assert by_column(of_rows, split) == ["train"] * 4 + ["validation"] * 4 + ["test"] * 4


def test_several_values_are_in_one_split() -> None:
    folds = [1, 1, 2, 2, 3, 3, 4, 4]

    splits = by_column(folds, {"train": [1, 3], "validation": [4], "test": [2]})

    assert splits == ["train"] * 2 + ["test"] * 2 + ["train"] * 2 + ["validation"] * 2


def test_validation_rows_are_drawn_among_those_that_train_and_copies_stay_together() -> None:
    is_test = [row >= 600 for row in range(800)]
    copies = [n // 4 for n in range(800)]  # of four rows each

    splits = by_column(is_test, {"train": [False], "test": [True], "validation_share": 0.25}, b=copies)

    assert splits[600:] == ["test"] * 200
    assert set(splits[:600]) == {"train", "validation"}
    assert splits.count("validation") == pytest.approx(150, abs=4)
    assert all(len(set(splits[row : row + 4])) == 1 for row in range(0, 600, 4))


def test_drawn_validation_rows_are_of_whole_groups_where_a_group_is_declared() -> None:
    is_test, shops = [row >= 600 for row in range(800)], [row // 20 for row in range(800)]

    splits = by_column(is_test, {"train": [False], "test": [True], "validation_share": 0.25, "group": "b"}, b=shops)

    assert all(len(set(splits[row : row + 20])) == 1 for row in range(0, 600, 20))
    assert splits.count("validation") == pytest.approx(150, abs=20)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            ["train", "val", "val", "test"],
            r"2 of 4 rows have a value .*: 'val' \(2 rows\); the declared ones are \['tr",
        ),
        (["train", None, "validation", "test"], r"'rows': examples.split.column 'fold': 1 of 4 .* 'an empty cell' \(1"),
    ],
)
def test_a_row_that_is_in_no_split_is_refused(values: list[Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        by_column(values, {})


def test_the_column_of_a_split_is_no_feature() -> None:
    split = {"column": "fold"}

    with pytest.raises(ValueError, match=r"no feature: write tables.rows.ignore: \['fold'\]"):
        odd_examples({"target": "a = 1", "split": split})


@pytest.mark.parametrize("query", [False, True])
@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ([0, 1, 2] * 10, r"0 \(10 rows\), 1 \(10 rows\), 2 \(10 rows\)"),
        ([1, 2] * 10, r"true or false, or 0 or 1; .* has the numbers"),
        ([0.0, 0.5] * 10, r"0.5 \(10 rows\)"),
        ([-1, 1] * 10, r"-1 \(10 rows\)"),
    ],
)
def test_numbers_that_would_be_merged_into_true_are_refused(targets: list[Any], message: str, query: bool) -> None:
    with pytest.raises(DataError, match=message):
        examples_of("binary", targets, query=query)


@pytest.mark.parametrize("targets", [[0, 1] * 10, [0.0, 1.0] * 10, [True, False] * 10, ["true", "false"] * 10])
def test_what_says_true_or_false_is_a_binary_target(targets: list[Any]) -> None:
    assert {row["target"] for row in examples_of("binary", targets)} == {0, 1}


def of_targets(target: Any = labelled.TARGETS, **changes: Any) -> pd.DataFrame:
    """The examples of rows with three targets; `changes` are of the rows or of the declaration's examples."""
    frame = labelled.frame().assign(**changes.pop("columns", {}))
    spec = labelled.spec(target, examples=changes)
    examples: pd.DataFrame = make_examples("case", spec, {"rows": pa.table(frame)}).to_pandas()
    return examples


def test_each_of_several_targets_has_a_column_of_0_and_1() -> None:
    frame, examples = labelled.frame(), of_targets()

    assert list(examples) == ["id", "cutoff", *(f"target {name}" for name in labelled.TARGETS), "split"]
    for name in labelled.TARGETS:
        assert (examples[f"target {name}"] == frame[name]).all()


def test_several_targets_may_be_expressions_by_name() -> None:
    frame, examples = labelled.frame(), of_targets({"gone": "churn = 1 or complaint = 1", "north": "region = 'north'"})

    assert (examples["target gone"] == (frame["churn"] | frame["complaint"])).all()
    assert (examples["target north"] == (frame["region"] == "north")).all()


@pytest.mark.parametrize("label", [0, 1])
def test_a_random_split_keeps_the_shares_of_every_target_and_of_the_rarest_class_exactly(label: int) -> None:
    shares = {"validation_share": 0.25, "test_share": 0.25}
    rare = {"columns": {"complaint": [label if row % 20 == 0 else 1 - label for row in range(400)]}}

    parts = dict(iter(of_targets(split=shares, **rare).groupby("split")))

    assert {name: int((part["target complaint"] == label).sum()) for name, part in parts.items()} == {
        "train": 10, "validation": 5, "test": 5
    }  # fmt: skip
    for name in labelled.TARGETS:
        whole = pd.concat(parts.values())[f"target {name}"].mean()
        assert [part[f"target {name}"].mean() for part in parts.values()] == pytest.approx([whole] * 3, abs=0.05)


@pytest.mark.parametrize("is_true", ["churn = 1", "upgrade = 1", "upgrade = 0"])
@pytest.mark.parametrize("again", ["{}", "not ({})"])
def test_a_random_split_by_targets_that_say_the_same_is_that_by_one_of_them(is_true: str, again: str) -> None:
    shares = {"validation_share": 0.25, "test_share": 0.25}

    alone = of_targets(is_true, split=shares)["split"].tolist()

    assert alone == of_targets({"one": is_true, "other": again.format(is_true)}, split=shares)["split"].tolist()


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"upgrade": [None, *[1.0, 0.0] * 199, 1.0]},
            r"examples.target upgrade \(.upgrade.\) is null in 1 of 400 rows",
        ),
        (
            {"complaint": [0, 1, 2, 1] * 100},
            r"'complaint' has the numbers .* such as target: \{complaint: .complaint. = 2\}",
        ),
        ({"churn": [0] * 400}, "the target churn has one class only in the train split: all .* rows are False"),
    ],
)
def test_one_wrong_target_of_several_is_named(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        of_targets(columns=columns)


def test_a_target_that_the_table_has_not_is_named_with_the_columns_that_it_has() -> None:
    with pytest.raises(DataError, match="upgrde"):
        of_targets(("churn", "upgrde"))


QUERIED = (
    "select id, timestamp '2024-01-01' + interval 1 day * id as cutoff, churn = 1 as churn, case when id = 7 then null "
    "else complaint = 1 end as complaint from rows"
)


def test_a_query_gives_several_targets_and_a_row_without_one_of_them_is_no_example() -> None:
    split = {"train_until": "2024-07-01", "validate_until": "2024-11-01"}
    spec = labelled.spec(("churn", "complaint"), examples={"query": QUERIED, "split": split})
    tables = {"rows": pa.table(labelled.frame())}

    examples = make_examples("case", spec, tables).to_pandas()

    assert len(examples) == 399
    assert 7 not in set(examples["id"])
    assert (examples["target churn"].to_numpy() == labelled.frame()["churn"].drop(7).to_numpy()).all()
    assert len(scored_rows("case", spec, tables, "id < 10")) == 10
    assert not {"churn", "complaint"} & set(known_columns(spec, tables["rows"]))
    assert "upgrade" in known_columns(spec, tables["rows"])


def test_a_query_that_knows_each_target_where_it_does_not_know_the_other_is_refused() -> None:
    query = QUERIED.replace("churn = 1 as churn", "case when id = 7 then churn = 1 end as churn")
    split = {"train_until": "2024-07-01", "validate_until": "2024-11-01"}
    spec = labelled.spec(("churn", "complaint"), examples={"query": query, "split": split})

    with pytest.raises(DataError, match=r"examples\.query gives no row with churn and complaint; correct the query"):
        make_examples("case", spec, {"rows": pa.table(labelled.frame())})


@pytest.mark.parametrize("whole", [{"ranked_within": "region"}, {"split": {"group": "region"}}])
def test_a_split_that_is_empty_because_groups_are_whole_names_their_column(whole: dict[str, Any]) -> None:
    split = {"validation_share": 0.2, "test_share": 0.2, **whole.get("split", {})}

    with pytest.raises(DataError, match="split is empty; the rows of each region are in one split, and so few may"):
        of_targets("churn = 1", **{**whole, "split": split})
