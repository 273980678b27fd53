"""The whole profile: what is in it, which orders change nothing, what no test row's target is in, odd columns."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from ml.profile.profile import make_profile
from ml.tasks.task import Kind
from tests.support.profiled import columns, examples_of, profile_of, spec_of, table_of

ROWS = 500
RANDOM = np.random.default_rng(4)
X = RANDOM.normal(size=ROWS)
TARGETS: dict[Kind, Any] = {
    "binary": (X + RANDOM.normal(size=ROWS) > 0).astype("int8"),
    "multiclass": np.array(["ant", "bee", "cow"])[np.digitize(X, [-0.5, 0.5])],
    "regression": 3 * X + RANDOM.normal(size=ROWS),
}
FRAME = pd.DataFrame(
    {
        "id": np.arange(ROWS),
        "x": X,
        "noise": RANDOM.normal(size=ROWS),
        "group": RANDOM.choice(["a", "b", None], ROWS),
        "flag": RANDOM.random(ROWS) < 0.2,
        "seen": pd.Timestamp("2020-01-01") + pd.to_timedelta(np.arange(ROWS), "h"),
        "count": RANDOM.integers(0, 40, ROWS),
    }
)


@pytest.mark.parametrize("kind", list(TARGETS))
def test_the_most_telling_column_comes_first_with_all_its_figures(kind: Kind) -> None:
    found = profile_of(FRAME, TARGETS[kind], kind)

    assert found.rows == {"train": 300, "validation": 100, "test": 100}
    assert found.columns[0].name == "x"
    assert {column.name for column in found.columns} == set(FRAME) - {"id"}
    assert found.columns[0].alone is not None
    assert found.columns[0].alone.low > found.chance
    group = columns(found)["group"]
    missing = FRAME["group"].isna()[np.arange(ROWS) % 5 == 1].mean()
    assert group.missing["validation"] == pytest.approx(missing)
    assert (group.kind, group.type, group.distinct) == ("text", "text", 2)
    assert {name: columns(found)[name].type for name in ("x", "count", "flag", "seen")} == {
        "x": "number", "count": "integer", "flag": "boolean", "seen": "time"}  # fmt: skip
    assert found == type(found).model_validate_json(found.model_dump_json())


@pytest.mark.parametrize("kind", list(TARGETS))
def test_no_order_of_rows_or_columns_changes_anything(kind: Kind) -> None:
    spec, examples = spec_of(kind), examples_of(FRAME, TARGETS[kind])
    mixed, order = FRAME.sample(frac=1, random_state=0), RANDOM.permutation(ROWS)

    first = make_profile(spec, {"rows": table_of(FRAME)}, examples)
    again = make_profile(spec, {"rows": table_of(mixed[mixed.columns[::-1]])}, examples.take(pa.array(order)))

    assert again == first


@pytest.mark.parametrize("kind", list(TARGETS))
def test_targets_of_test_rows_are_in_the_figure_of_their_split_alone(kind: Kind) -> None:
    test = np.arange(ROWS) % 5 == 3
    shuffled = TARGETS[kind].copy()
    shuffled[test] = RANDOM.permutation(shuffled[test])
    cutoff = pd.Series(pd.date_range("2020-01-01", periods=ROWS, freq="D", unit="us"))
    spec, tables = spec_of(kind), {"rows": table_of(FRAME)}

    first = make_profile(spec, tables, examples_of(FRAME, TARGETS[kind], cutoff))
    again = make_profile(spec, tables, examples_of(FRAME, shuffled, cutoff))

    target = {split: pytest.approx(figures) for split, figures in first.target.items()}
    assert again.target == target
    assert again.model_copy(update={"target": {}}) == first.model_copy(update={"target": {}})


ODD: dict[str, Any] = {
    "nothing": [None] * ROWS,
    "no text": pa.nulls(ROWS, pa.string()),
    "no time": pa.nulls(ROWS, pa.timestamp("us")),
    "constant": ["same"] * ROWS,
    "one row": [1.0] + [None] * (ROWS - 1),
    "infinite": np.where(np.arange(ROWS) % 2, np.inf, -np.inf),
    "huge": np.where(np.arange(ROWS) % 2, 1e300, -1e300) * (1 + np.arange(ROWS)),
    "greatest": np.where(np.arange(ROWS) % 2, 1.7976931348623157e308, -1.7976931348623157e308),
    "tiny": np.arange(ROWS) * 5e-324,
    "all different": [f"text {place}" for place in range(ROWS)],
    "long": [("long " * 4000) + str(place % 3) for place in range(ROWS)],
    "html": [("<script>alert(1)</script>", "</html>", "'\"&", "")[place % 4] for place in range(ROWS)],
    "odd": ["\0", "\n|", "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"), "é"] * (ROWS // 4),
    "zeros": [0.0, -0.0] * (ROWS // 2),
    "<b>name</b>": np.arange(ROWS) % 7,
    "integers": [2**62 + place for place in range(ROWS)],
    "early": pa.array([-62_000_000_000_000_000 + place for place in range(ROWS)], pa.timestamp("us")),
}


@pytest.mark.parametrize("kind", list(TARGETS))
def test_odd_columns_are_profiled_as_any_other(kind: Kind) -> None:
    table = pa.table({"id": np.arange(ROWS), **ODD})

    found = make_profile(spec_of(kind), {"rows": table}, examples_of(FRAME, TARGETS[kind]))

    figures = columns(found)
    assert set(figures) == set(ODD)
    assert [name for name in ODD if figures[name].distinct == 0] == ["nothing", "no text", "no time"]
    assert figures["constant"].alone is None
    assert (figures["infinite"].infinite, figures["infinite"].quantiles) == (ROWS, ())
    assert max(len(bar.label) for column in found.columns for bar in column.bars) < 80
    assert len(found.model_dump_json()) < 100_000
    assert found == type(found).model_validate_json(found.model_dump_json())


@pytest.mark.parametrize("rows", [5, 10])
@pytest.mark.parametrize("kind", list(TARGETS))
def test_a_handful_of_rows_is_enough(kind: Kind, rows: int) -> None:
    target = {"binary": [0, 1] * rows, "multiclass": ["a", "b"] * rows, "regression": np.arange(2.0 * rows)}[kind]

    found = profile_of(FRAME.head(2 * rows), target, kind)

    assert sum(found.rows.values()) == 2 * rows


def test_without_a_column_there_is_a_profile_of_the_examples() -> None:
    found = profile_of(FRAME[["id"]], TARGETS["binary"])

    assert (found.columns, found.heatmap, found.findings) == ((), (), ())


def test_of_a_text_whose_words_count_nothing_is_said_by_which_text_it_is() -> None:
    table = {"source": {"path": "rows.csv"}, "key": "id", "logical_types": {"note": "text"}}
    notes = [f"note {place % 160} of many" if place % 5 < 3 else f"other {place}" for place in range(500)]

    profile = profile_of(pd.DataFrame({"note": notes}), np.arange(500) % 2, tables={"rows": table})
    (note,) = profile.columns

    assert (note.type, note.alone, note.by_chance, note.drift["test"].unseen) == ("words", None, 1.0, 1.0)
    assert profile.findings == ()


def test_whole_numbers_that_no_double_tells_apart_are_counted_and_are_no_copies() -> None:
    first = pd.Series(2**60 + np.arange(100) % 50).astype("Int64").mask(np.arange(100) == 3)

    profiled = columns(profile_of(pd.DataFrame({"id_a": first, "id_b": first + 1, "id_c": first}), np.arange(100) % 2))

    assert [profiled[name].distinct for name in ("id_a", "id_b", "id_c")] == [50, 50, 50]
    assert [profiled[name].same_as for name in ("id_a", "id_b", "id_c")] == [None, None, "id_a"]


def test_copies_are_named_after_the_first() -> None:
    frame = pd.DataFrame({"b": X, "a": X, "c": -X, "t": FRAME["group"], "s": FRAME["group"], "one": 1.0, "two": 1.0})

    found = columns(profile_of(frame, TARGETS["binary"]))

    assert {name: found[name].same_as for name in frame} == {
        "b": "a", "a": None, "c": None, "t": "s", "s": None, "one": None, "two": "one"}  # fmt: skip


def test_what_is_not_known_at_the_cutoff_is_no_column() -> None:
    tables = {
        "rows": {
            "source": {"path": "rows.csv"},
            "key": "id",
            "time": "seen",
            "known_at": {"1d": ["x"]},
            "computed": {"y": "noise > 0"},
            "ignore": ["flag"],
        }
    }
    spec = spec_of(tables=tables, examples={**spec_of().model_dump(mode="json")["examples"], "cutoff": "seen"})

    found = make_profile(spec, {"rows": table_of(FRAME)}, examples_of(FRAME, TARGETS["binary"], FRAME["seen"]))

    assert set(columns(found)) == {"group", "count"}


def test_columns_of_another_table_are_as_of_the_cutoff() -> None:
    places = pd.DataFrame(
        {"group": ["a", "a", "b"], "at": pd.to_datetime(["2019-12-01", "2020-01-05", "2019-12-01"]), "size": [1, 2, 3]}
    )
    spec = spec_of(
        tables={
            "rows": {"source": {"path": "rows.csv"}, "key": "id", "time": "seen"},
            "places": {"source": {"path": "places.csv"}, "key": ["group", "at"], "time": "at"},
        },
        relationships=["rows.group -> places.group"],
        examples={**spec_of().model_dump(mode="json")["examples"], "cutoff": "seen"},
    )

    found = make_profile(
        spec,
        {"rows": table_of(FRAME), "places": table_of(places)},
        examples_of(FRAME, TARGETS["binary"], FRAME["seen"]),
    )

    size = columns(found)["places.size"]
    train = FRAME[np.isin(np.arange(ROWS) % 5, [0, 2, 4])]
    later = train["seen"] > pd.Timestamp("2020-01-05")
    expected = np.select([train["group"] == "b", (train["group"] == "a") & later, train["group"] == "a"], [3, 2, 1], 0)
    shares = {bar.label: bar.shares["train"] for bar in size.bars}
    assert shares == pytest.approx({str(value): (expected == value).mean() for value in (1, 2, 3)} | {
        "(missing)": (expected == 0).mean()})  # fmt: skip


def test_rows_beyond_the_sample_are_counted_and_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ml.profile.profile.ROWS", 50)

    found = profile_of(FRAME, TARGETS["binary"])

    assert found.sampled == {"train": 50, "validation": 50, "test": 50}
    assert columns(found)["x"].quantiles[-1] == X.max()
    assert sum(bar.shares["train"] for bar in columns(found)["x"].bars) == pytest.approx(1)
