"""Quotes of a CSV file: where they are wrong, a reader takes rows for one text, or drops what stands beside them."""

import re

from ml.base.sql import DataError

BLOCK = 1 << 23  # bytes that are parsed at once: no row may be longer


class Quotes:
    """A check of quotes in what passes: the bytes of a file without those lines at its beginning that are skipped."""

    def __init__(self, quote: str, separator: str, skip: int = 0) -> None:
        mark, end = (re.escape(text).encode() for text in (quote, separator + "\r\n"))
        self._mark, self._skip, self._rest = quote.encode(), skip, b"\n"
        text = rb"(?:[^%b]++|%b%b)*+" % (mark, mark, mark)
        right = (
            rb"[^%b]++" % mark,
            rb"(?<=[%b])%b%b%b(?=[%b])" % (end, mark, text, mark, end),
            rb"(?<![%b])%b" % (end, mark),
        )
        # What is outside of quotes; in quotes that a separator or a line's end follows; a quote within a plain text.
        self._right = re.compile(rb"(?:%b)*+" % b"|".join(right))
        self._quoted = re.compile(rb"%b(%b)(%b?)" % (mark, text, mark))

    def check(self, content: bytes, is_over: bool) -> None:
        """Check what is new, and keep what may go on with the byte before it; raise DataError for a wrong quote."""
        while self._skip and content:
            _, line_end, content = content.partition(b"\n")
            self._skip -= bool(line_end)
        checked = self._rest + content
        match = self._right.match(checked, 1)
        end = match.end() if match else 1
        quoted = self._quoted.match(checked, end)
        self._rest = checked[end - 1 :]
        if quoted is None:
            return
        text, is_closed = quoted[1].replace(self._mark * 2, self._mark), bool(quoted[2])
        if is_closed and quoted.end() < len(checked):
            behind = _beginning(checked[quoted.end() :][:20])
            raise DataError(
                f"a text in quotes goes on behind them: {_beginning(text)!r} and then {behind!r}. Double a quote that "
                "stands for itself"
            )
        if is_over or len(self._rest) > 2 * BLOCK:
            raise DataError(
                f"a quote begins a text that never ends; it holds {_beginning(text)!r} and the rest of the file. Close "
                "it, or double a quote that stands for itself"
            )


def _beginning(text: bytes) -> str:
    return (text[:200].decode(errors="replace").splitlines() or [""])[0]
