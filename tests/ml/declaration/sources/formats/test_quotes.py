"""Quotes of a CSV file: right ones pass wherever the file is cut into parts, and wrong ones do not."""

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.base.sql import DataError
from ml.declaration.sources.formats.quotes import Quotes

TEXTS = st.lists(st.text("a',;\"\r\n\t é", min_size=1), min_size=1)


def check(quotes: Quotes, content: bytes, size: int) -> None:
    for place in range(0, len(content), size):
        quotes.check(content[place : place + size], is_over=False)
    quotes.check(b"", is_over=True)


@settings(max_examples=60, deadline=None)
@given(TEXTS, st.sampled_from(["\n", "\r\n"]), st.sampled_from(",;\t"), st.sampled_from("\"'"), st.integers(1, 9))
def test_right_quotes_pass_wherever_a_file_is_cut(
    texts: list[str], end: str, separator: str, quote: str, size: int
) -> None:
    file = io.StringIO(newline="")
    file.write(f"a line that is skipped, with an open {quote}\n")
    csv.writer(file, delimiter=separator, quotechar=quote, lineterminator=end).writerows(enumerate(texts))

    check(Quotes(quote, separator, skip=1), file.getvalue().encode(), size)


@pytest.mark.parametrize("size", [1, 3, 100])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'1,"a"b\n', "goes on behind them: 'a' and then 'b'"),
        (b'1,"5 in\n2,6" in\n', "goes on behind them: '5 in' and then ' "),
        (b'1,"a\n2,b\n', "never ends; it holds 'a' and the rest"),
        (b'1,a\n2,"', "never ends; it holds '' and the rest"),
    ],
)
def test_wrong_quotes_are_shown_with_what_they_hold(content: bytes, words: str, size: int) -> None:
    with pytest.raises(DataError, match=words):
        check(Quotes('"', ","), content, size)


def test_a_quote_in_a_plain_text_is_itself() -> None:
    check(Quotes('"', ","), b'1,5" pipe\n2,6" and 7"\n', 4)
