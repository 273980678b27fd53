"""Latest lookups with rows that are sent; ml/features/test_sent_rows.py compares them with the batch path."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from service.plan.parts import ColumnType, LatestLookup, StaticLookup
from service.records.reader import Record
from service.tables.lookups import Finder, load_lookup
from service.tables.table import MISSING_ROW

RECORD: dict[str, ColumnType] = {"stop": "text"}
Row = dict[str, Any]


def load(folder: Path, rows: list[Row], *names: str, **changes: Any) -> Finder:
    lookup = LatestLookup("weather.parquet", ["stop"], ["stop"], "known", **changes)
    kinds = {"stop": pa.string(), "known": pa.timestamp("us"), "happened": pa.timestamp("us"), "x": pa.float64()}
    table = {name: pa.array([row[name] for row in rows], kind) for name, kind in kinds.items()}
    pq.write_table(pa.table(table), folder / "weather.parquet")
    return load_lookup("weather", lookup, folder, numeric=["x"], categorical=[], record=RECORD, names=names)


def row(x: float, known: int | None, happened: int = 0, stop: str = "a") -> Row:
    """Return a row by seconds since 1970; times in microseconds."""
    return {"stop": stop, "known": known if known is None else known * 10**6, "happened": happened * 10**6, "x": x}


def at(finder: Finder, second: int, stop: str = "a") -> float:
    found, _ = finder.find(Record({"stop": stop}, second * 10**6))
    return float(finder.table.numeric[found, 0] if isinstance(found, int) else found.numeric[0])


def seen(finder: Finder, *seconds: int) -> list[float]:
    return [at(finder, second) for second in seconds]


def test_a_row_that_is_sent_is_the_latest_from_its_time_on(tmp_path: Path) -> None:
    finder = load(tmp_path, [row(1, 10), row(3, 30)], "stop", "known")

    edited, replaced = finder.edit([row(2, 20), row(4, 40), row(9, 5, stop="b")])

    assert replaced == [False, False, False]
    np.testing.assert_array_equal(seen(edited, 9, 10, 20, 30, 40), [np.nan, 1, 2, 3, 4])
    assert at(edited, 5, "b") == 9
    np.testing.assert_array_equal(seen(finder, 9, 10, 20, 30, 40), [np.nan, 1, 1, 3, 3])


def test_a_row_of_the_same_key_takes_the_place_of_the_earlier_one(tmp_path: Path) -> None:
    finder = load(tmp_path, [row(1, 10), row(2, 20)], "stop", "known")

    once, first = finder.edit([row(5, 20)])
    twice, second = once.edit([row(6, 20)])

    assert (first, second) == ([True], [True])
    assert seen(once, 10, 20) == [1, 5]
    assert seen(twice, 10, 20) == [1, 6]


def test_where_a_key_has_one_row_another_time_moves_it_and_none_takes_it_away(tmp_path: Path) -> None:
    finder = load(tmp_path, [row(1, 10)], "stop")

    moved, was_there = finder.edit([row(2, 30)])
    gone, was_there_too = moved.edit([row(3, None)])
    back, was_there_still = gone.edit([row(4, 5)])

    assert (was_there, was_there_too, was_there_still) == ([True], [True], [False])
    np.testing.assert_array_equal(seen(moved, 10, 30), [np.nan, 2])
    np.testing.assert_array_equal(seen(gone, 10, 30), [np.nan, np.nan])
    assert gone.find(Record({"stop": "a"}, 30))[0] == MISSING_ROW
    assert seen(back, 10, 30) == [4, 4]


def test_what_happened_earlier_is_not_the_latest_when_it_becomes_known(tmp_path: Path) -> None:
    finder = load(tmp_path, [row(1, 10, 5), row(2, 20, 3)], "stop", "happened", happened="happened")
    assert seen(finder, 10, 20) == [1, 1]

    late, _ = finder.edit([row(3, 30, 4)])
    assert seen(late, 30) == [1]

    corrected, replaced = late.edit([row(1, 40, 5)])  # that which hid the others is known later

    assert replaced == [True]
    np.testing.assert_array_equal(seen(corrected, 10, 20, 30, 40), [np.nan, 2, 3, 1])


@pytest.mark.parametrize("at_cutoff", ["included", "excluded"])
def test_random_rows_are_found_as_by_a_look_at_all_of_them(tmp_path: Path, at_cutoff: Any) -> None:
    random = np.random.default_rng(3)
    for names in [("stop", "known", "happened"), ("stop", "happened")]:
        table: dict[Any, Row] = {}

        def some(count: int, names: tuple[str, ...] = names, table: dict[Any, Row] = table) -> list[Row]:
            rows = [
                row(
                    float(random.random()),
                    int(random.integers(20)),
                    int(random.integers(9)),
                    str(random.choice(["a", "b"])),
                )
                for _ in range(count)
            ]
            fresh = {tuple(r[name] for name in names): r for r in rows}
            table.update(fresh)
            return list(fresh.values())

        finder = load(tmp_path, some(12), *names, happened="happened", at_cutoff=at_cutoff, valid_for_s=8.0)
        for _ in range(6):
            there = set(table)
            rows = some(3)
            finder, replaced = finder.edit(rows)
            assert replaced == [tuple(r[name] for name in names) in there for r in rows]
            for second in range(-1, 30):
                known = [r for r in table.values() if r["stop"] == "a" and r["known"] <= second * 10**6]
                known = [r for r in known if at_cutoff == "included" or r["known"] < second * 10**6]
                last = max(known, key=lambda r: (r["happened"], r["known"]), default=None)
                expected = np.nan if last is None or last["known"] < (second - 8) * 10**6 else np.float32(last["x"])
                np.testing.assert_equal(at(finder, second), expected)


def test_an_edit_copies_nothing_of_the_table(tmp_path: Path) -> None:
    """Of 300,000 rows of one key, after a thousand edits: a copy of their times alone would take 2.4 MB."""
    count = 300_000
    times = pa.array(np.arange(count) * 10**6, pa.timestamp("us"))
    table = pa.table({"stop": ["a"] * count, "known": times, "x": np.arange(float(count))})
    pq.write_table(table, tmp_path / "w.parquet")
    lookup = LatestLookup("w.parquet", ["stop"], ["stop"], "known")
    finder = load_lookup(
        "weather", lookup, tmp_path, numeric=["x"], categorical=[], record=RECORD, names=["stop", "known"]
    )
    for second in range(0, 3_000, 3):
        finder, _ = finder.edit([row(0.5, second)])

    tracemalloc.start()
    finder, replaced = finder.edit([row(0.25, count + 5), row(0.25, 4)])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 200_000
    assert replaced == [False, True]
    assert seen(finder, 0, 1, 3, 4, count + 5) == [0.5, 1, 0.5, 0.25, 0.25]


def test_an_edit_of_one_of_many_static_rows_copies_few(tmp_path: Path) -> None:
    keys = [f"n{number}" for number in range(100_000)]
    pq.write_table(pa.table({"stop": keys, "x": np.arange(100_000.0)}), tmp_path / "w.parquet")
    lookup = StaticLookup("w.parquet", ["stop"], ["stop"])
    finder: Finder = load_lookup(
        "planes", lookup, tmp_path, numeric=["x"], categorical=[], record=RECORD, names=["stop"]
    )
    for number in range(0, 3_000, 3):
        finder, _ = finder.edit([{"stop": f"n{number}", "x": 0.5}])

    tracemalloc.start()
    finder, replaced = finder.edit([{"stop": "new", "x": 0.25}, {"stop": "n4", "x": None}])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 200_000
    assert replaced == [False, True]
    np.testing.assert_array_equal([at(finder, 0, stop) for stop in ("n0", "n1", "new", "n4")], [0.5, 1, 0.25, np.nan])
