"""Notices: the warnings of an answer, each of which knows its kind, so that kinds can be counted and texts read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

Kind = Literal[
    "missing",  # a value that training hardly ever lacked
    "far",  # a number far from those of training
    "new_category",  # a text that the model does not know
    "missing_key",  # a record that cannot be looked up
    "unseen_key",  # a key that a table or a history has no rows of
    "too_early",  # a key whose first row is after the cutoff
    "too_old",  # a key whose last row before the cutoff is older than is allowed
    "silent",  # a table of which nothing was heard for longer before the cutoff than is usual
    "behind",  # a history that may lack events which were accepted
    "other",
]


class Notice(str):
    """A warning: its text, its kind, the column or lookup that it is `about`, the record's `columns` that it quotes.

    A text that is none of these is of kind "other", and may quote any column.
    """

    kind: Kind = "other"
    about: str = ""
    columns: Sequence[str] | None = None


def notice(kind: Kind, about: str, columns: Sequence[str], text: str) -> Notice:
    """Return a warning of a kind."""
    warning = Notice(text)
    warning.kind, warning.about, warning.columns = kind, about, columns
    return warning
