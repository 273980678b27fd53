"""Kinds of splits: what is declared picks one, and what was recorded before there were kinds still does."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from ml.declaration.splits.catalogue import Split
from ml.declaration.splits.dates import DatesSplit
from ml.declaration.splits.kind import SplitKind
from ml.declaration.splits.shares import SharesSplit

SPLITS = TypeAdapter[SplitKind](Split)
DATES = {"train_until": "2024-01-01", "validate_until": "2024-02-01"}
SHARES = {"validation_share": 0.2, "test_share": 0.1}
COLUMN = {"column": "fold"}
RECORDED = ["train_until", "validate_until", "embargo", "validation_share", "test_share", "group"]


@pytest.mark.parametrize(
    ("declared", "kind"),
    [(DATES, DatesSplit), ({**DATES, "embargo": "5d", "group": "shop"}, DatesSplit), (SHARES, SharesSplit)],
)
def test_keys_pick_the_kind_and_a_record_with_those_of_both_is_read_again(
    declared: dict[str, Any], kind: type[SplitKind]
) -> None:
    recorded = {**dict.fromkeys(RECORDED), **declared}

    split, again = SPLITS.validate_python(declared), SPLITS.validate_python(recorded)

    assert type(split) is kind
    assert split == again
    assert list(SPLITS.dump_python(split, mode="json").items()) == list(recorded.items())
    assert split.model_dump(mode="json", exclude_none=True, exclude_defaults=True) == declared


@pytest.mark.parametrize(
    ("declared", "place", "message"),
    [
        ({}, (), "a split needs train_until and validate_until, or validation_share and test_share"),
        ({**DATES, "test_share": 0.1}, (), "test_share belongs to a split by validation_share and test_share"),
        (
            {**DATES, **SHARES},
            (),
            "a split needs train_until and validate_until, or validation_share and test_share, or",
        ),
        ({"validation_share": 0.2}, (), "a split needs train_until and validate_until, or validation_share and"),
        ({**SHARES, "train": ["a"]}, (), "train belongs to a split by column"),
        ({**COLUMN, "validation": [2], "validation_share": 0.2}, (), "declare one of them"),
        ({**COLUMN, "train": [1, 2], "test": ["2"]}, (), r"\['2'\] are named more than once in train, validation and"),
        ({**COLUMN, "train": []}, ("train",), "at least 1 item"),
        ({**COLUMN, "embargo": "5d"}, (), "embargo belongs to a split by train_until and validate_until"),
        ({**SHARES, "embargo": "5d"}, (), "embargo belongs to a split by train_until and validate_until"),
        ({**DATES, "train_until": "2024-02-01"}, (), r"train_until \(2024-02-01\) must lie before validate_until"),
        ({"validation_share": 0.5, "test_share": 0.5}, (), "leave nothing to train on: their sum must be below 1"),
        ({**DATES, "embargo": "soon"}, ("embargo",), "'soon' is not a duration"),
        (
            {"train_untl": "2024-01-01"},
            ("train_untl",),
            "'train_untl', did you mean 'train_until'; allowed: column, embargo",
        ),
    ],
)
def test_a_mistake_is_named_at_its_place(declared: Any, place: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValidationError, match=message) as refused:
        SPLITS.validate_python(declared)

    assert [error["loc"] for error in refused.value.errors()] == [place]


def test_each_kind_says_whether_a_key_with_many_rows_is_a_group() -> None:
    dates, shares, grouped = map(SPLITS.validate_python, (DATES, SHARES, {**DATES, "group": "shop"}))

    assert [split.grouped(repeated) for split in (dates, shares, grouped) for repeated in (False, True)] == [
        *(False, False),
        *(False, True),
        *(True, True),
    ]
