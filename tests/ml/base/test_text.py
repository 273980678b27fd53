from typing import Literal

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.base.text import markdown_table, percent, shortened


@pytest.mark.parametrize(("share", "text"), [(0.95, "95%"), (0.995, "99.5%"), (0.9999, "99.99%"), (0.07, "7%")])
def test_a_share_is_told_with_all_its_digits(share: float, text: str) -> None:
    assert percent(share) == text


def test_a_short_text_stays_as_it_is() -> None:
    assert shortened("abcd", 4) == "abcd"
    assert shortened("abcd", 4, omit="middle") == "abcd"


def test_a_long_text_loses_its_end_or_its_middle() -> None:
    assert shortened("abcdefgh", 5) == "abcd…"
    assert shortened("abcdefgh", 5, omit="middle") == "ab…gh"


@given(text=st.text(), most=st.integers(1, 20), omit=st.sampled_from(["end", "middle"]))
def test_no_text_is_longer_than_it_may_be(text: str, most: int, omit: Literal["end", "middle"]) -> None:
    assert len(shortened(text, most, omit)) <= most


def test_texts_stay_texts_and_numbers_are_written_in_the_format() -> None:
    rows = [{"commit": "1e5", "score": 0.123456}, {"commit": "007", "score": 1.0}]

    lines = markdown_table(rows, ".2f").splitlines()

    assert lines[0] == "| commit   |   score |"
    assert lines[2:] == ["| 1e5      |    0.12 |", "| 007      |    1.00 |"]


@pytest.mark.parametrize("text", ["a | b", "a\nb"])
def test_no_text_breaks_the_table(text: str) -> None:
    lines = markdown_table([{text: text}]).splitlines()

    assert len(lines) == 3
    assert all(line.replace("\\|", "").count("|") == 2 for line in lines)


def test_a_frame_that_is_shown_stays_as_it_is() -> None:
    frame = pd.DataFrame({"a|b": ["c|d"]})

    assert markdown_table(frame) == "| a\\|b   |\n|:-------|\n| c\\|d   |"
    assert frame.equals(pd.DataFrame({"a|b": ["c|d"]}))


def test_no_rows_make_an_empty_text() -> None:
    assert markdown_table([]) == ""
