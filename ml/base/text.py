"""Texts for people: cut to a length, shares in percent, and tables in Markdown."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pandas as pd


def shortened(text: str, most: int, omit: Literal["end", "middle"] = "end") -> str:
    """Return a text in at most `most` characters: where it is longer, a … stands for its end or its middle."""
    if len(text) <= most:
        return text
    if omit == "end":
        return f"{text[: most - 1]}…"
    half = (most - 1) // 2
    return f"{text[:half]}…{text[len(text) - half :]}"


def near(name: str, allowed: Iterable[str]) -> str:
    """Return `, did you mean 'x'` for the one of the allowed names that is like a wrong one; an empty text for none."""
    by_small = {one.lower(): one for one in sorted(allowed)}
    return "".join(f", did you mean {by_small[one]!r}" for one in get_close_matches(name.lower(), by_small, n=1))


def plain(number: float) -> str:
    """Return a number without an exponent, in as few digits as tell it from every other: 0.00001, 2, 0.5."""
    return f"{Decimal(repr(float(number))).normalize():f}"


def percent(share: float) -> str:
    """Write a share as it was declared: 0.95 is `95%`, 0.995 is `99.5%`."""
    return f"{100 * share:.10g}%"


def markdown_table(rows: "pd.DataFrame | Sequence[Mapping[str, Any]]", numbers: str = "g") -> str:
    """Return a Markdown table with a line for each row; without any row the text is empty.

    Numbers are written in the format `numbers`. Texts stay as they are, even those that read like a number, on one line
    each and with their | escaped, so that none of them breaks the table.
    """
    import pandas as pd
    from pandas.api.types import is_numeric_dtype

    table = pd.DataFrame(rows).rename(columns=_cell)  # a copy
    if table.empty:
        return ""
    texts = [position for position, kind in enumerate(table.dtypes) if not is_numeric_dtype(kind)]
    for name in table.columns[texts]:
        table[name] = table[name].map(_cell)
    return str(table.to_markdown(index=False, disable_numparse=texts, floatfmt=numbers))


def _cell(value: Any) -> Any:
    return value.replace("|", "\\|").replace("\n", " ") if isinstance(value, str) else value
