"""The findings: each kind where it is, and none where there is nothing."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.support.profiled import profile_of

ROWS = 2000
RANDOM = np.random.default_rng(5)
Y = RANDOM.integers(0, 2, ROWS)
TEST = np.arange(ROWS) % 5 == 3
TRAIN = np.isin(np.arange(ROWS) % 5, [0, 2, 4])
NOISE = RANDOM.normal(size=ROWS)

FOUND: dict[str, tuple[Any, str]] = {
    "leak": (Y + 0.1 * NOISE, "One column alone nearly gives the target: leak (ROC AUC 0.999)."),
    "constant": (np.full(ROWS, 3), "One column has the same value in every row: constant."),
    "empty": (np.where(np.arange(ROWS) % 10 > 0, np.nan, NOISE), "One column is mostly missing: empty (90%)."),
    "gone": (
        np.where(TEST & (np.arange(ROWS) % 2 == 0), np.nan, NOISE),
        "One column is missing more often in one split: gone (0% of train, 50% of test).",
    ),
    "moved": (NOISE + 3 * TEST, "One column differs between the splits: moved (by 0."),
    "named": (
        np.where(TEST, np.char.add("new ", (np.arange(ROWS) % 5).astype(str)), RANDOM.choice(["a", "b"], ROWS)),
        "One column has texts that training lacks: named (100% of test).",
    ),
    "infinite": (np.where(np.arange(ROWS) == 7, np.inf, NOISE), "One column holds infinite numbers: infinite (1)."),
    "marked": (
        np.where(np.arange(ROWS) % 50 == 0, -999, NOISE),
        "One column has a number far from all others: marked (reaches -999, ",
    ),
    "code": (
        [f"c{place}" for place in range(ROWS)],
        "One column of texts has another value in nearly every row: code (2,000 values).",
    ),
}


@pytest.mark.parametrize("name", list(FOUND))
def test_each_finding_names_its_column(name: str) -> None:
    values, sentence = FOUND[name]

    found = profile_of(pd.DataFrame({name: values, "other": RANDOM.normal(size=ROWS)}), Y).findings

    assert [finding for finding in found if finding.startswith(sentence)], found
    assert not [finding for finding in found if ": other" in finding]


def test_of_ordinary_columns_there_is_nothing_to_say() -> None:
    columns = {f"x{place}": Y + RANDOM.normal(size=ROWS) * 2 for place in range(30)}
    columns |= {"group": np.where(Y == 1, RANDOM.choice(["a", "b", "c"], ROWS), RANDOM.choice(["a", "b"], ROWS))}

    assert profile_of(pd.DataFrame(columns), Y).findings == ()


def test_columns_that_say_the_same_and_copies_are_told_apart() -> None:
    frame = pd.DataFrame({"a": NOISE, "b": NOISE, "c": np.exp(NOISE)})

    found = profile_of(frame, Y).findings

    assert "One column is a copy of another: b = a." in found
    assert "2 pairs of columns say nearly the same: a and c (1.000), b and c (1.000)." in found


def test_only_the_worst_are_named_of_many() -> None:
    frame = pd.DataFrame({f"leak {place}": Y + 0.01 * (place + 1) * NOISE for place in range(9)})

    found = profile_of(frame, Y).findings[0]

    assert found.startswith("9 columns alone nearly give the target: leak 0 (ROC AUC 0.999), leak 1")
    assert " and 5 more. If it is not yet known" in found


@pytest.mark.parametrize(
    ("target", "kind", "sentence"),
    [
        ((np.arange(ROWS) % 100 < 2).astype("int8"), "binary",
         "One class of the target is rare: yes (1.67%, 20 rows of train)."),
        ((np.arange(ROWS) % 100 >= 2).astype("int8"), "binary",
         "One class of the target is rare: no (1.67%, 20 rows of train)."),
        (np.where(np.arange(ROWS) % 200 < 1, "cow", RANDOM.choice(["ant", "bee"], ROWS)), "multiclass",
         "One class of the target is rare: cow (0.83%, 10 rows of train)."),
    ],
)  # fmt: skip
def test_a_rare_class_is_named(target: Any, kind: Any, sentence: str) -> None:
    found = profile_of(pd.DataFrame({"x": NOISE}), target, kind).findings

    assert f"{sentence} Accuracy says little here." in found


def test_of_many_columns_of_noise_none_tells_more_than_chance() -> None:
    noise = pd.DataFrame(RANDOM.normal(size=(ROWS, 300))).rename(columns="n{}".format)

    alone, beside = (profile_of(frame, Y).findings[-1] for frame in (noise, noise.assign(x=Y + NOISE)))

    assert alone.startswith("No column tells more of the target than chance would")
    assert beside.startswith("300 of 301 columns tell no more")


@pytest.mark.parametrize("kind", ["binary", "regression"])
def test_a_target_with_one_value_in_training_is_named_and_no_rare_class(kind: Any) -> None:
    (found,) = profile_of(pd.DataFrame({"x": NOISE}), TEST.astype("int8"), kind).findings

    assert found == "The target has the same value in every training row: a model can learn nothing of it."


@pytest.mark.parametrize("rows", [10, 15, 25])
def test_of_a_handful_of_rows_no_column_nearly_gives_the_target_by_chance(rows: int) -> None:
    alike = [Y[:rows], 1 - Y[:rows], np.where(Y[:rows], "a", "b"), np.arange(rows), np.arange(rows)[::-1] ** 2]
    for y in (np.arange(rows) % 2, (np.arange(rows) > rows // 2).astype(int), Y[:rows]):
        profile = profile_of(pd.DataFrame(dict(zip("abcde", alike, strict=True))), y)
        if any("No column tells more" in finding for finding in profile.findings):
            assert not [finding for finding in profile.findings if "nearly give" in finding]


def test_columns_that_tell_nothing_are_counted() -> None:
    frame = pd.DataFrame({"x": Y + NOISE, **{f"n{place}": RANDOM.normal(size=ROWS) for place in range(4)}})

    found = profile_of(frame, Y).findings

    assert found[-1].startswith("4 of 5 columns tell no more of the target than chance would")
    silent = profile_of(frame.drop(columns="x"), Y).findings
    assert silent == ("No column tells more of the target than chance would, each by itself; together they may.",)
