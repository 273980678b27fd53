"""The declaration of the features."""

from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Literal

from pydantic import Field, model_validator

from ml.declaration.part import Duration, Part, duration

Aggregation = Literal[
    "count", "mean", "std", "min", "max", "sum", "median", "first", "last", "num_unique", "time_since_last"
]
Calendar = Literal["minute", "hour", "weekday", "is_weekend", "day", "day_of_year", "week", "month", "quarter", "year"]


LONGEST = {"words": 5, "characters": 10}  # n-grams


class History(Part):
    """Aggregates of what was known at the cutoff, by group and window."""

    table: str = Field(description="The table whose past rows are aggregated.")
    group_by: list[str | list[str]] = Field(
        default_factory=list,
        description="Columns that the history's table and the examples' table share, or lists of such; each makes its "
        "own features: [origin, [origin, carrier]]. Without any, all rows of the table are one group; so they are for "
        "an empty list among others: [[], origin].",
    )
    columns: list[str] | None = Field(
        None,
        min_length=1,
        exclude_if=lambda columns: columns is None,
        description="The columns that are aggregated, computed ones among them; all that become known if nothing is "
        "said.",
    )
    windows: list[Duration] = Field(min_length=1, description="How far back to look from the cutoff: [3h, 1d, 14d].")
    aggregations: list[Aggregation] = Field(
        default=["count", "mean", "std"],
        min_length=1,
        description="featuretools' aggregations; of a boolean, the mean is the share.",
    )

    @property
    def groups(self) -> list[list[str]]:
        return [[group] if isinstance(group, str) else list(group) for group in self.group_by or [[]]]

    @property
    def longest(self) -> timedelta:
        return max(duration(window) for window in self.windows)


class Terms(Part):
    """Terms of a column of texts: which n-grams of words and characters are learned, and how many."""

    words: tuple[int, int] | None = Field(
        (1, 2), description="From how many words that follow each other, to how many; null: no words."
    )
    characters: tuple[int, int] | None = Field(
        (3, 5), description="From how many characters of a word to how many; null: no characters."
    )
    terms: int = Field(
        500,
        ge=1,
        le=10_000,
        description="The most words, and the most runs of characters, that are kept: those in most rows. Each takes "
        "four bytes a row.",
    )
    rows: int = Field(3, ge=1, description="Training rows that must have a term for it to be kept.")

    @model_validator(mode="after")
    def _spans(self) -> "Terms":
        if not self.spans:
            raise ValueError("neither words nor characters are wanted; write words: [1, 2], or characters: [3, 5]")
        for name, (shortest, longest) in self.spans.items():
            if not 1 <= shortest <= longest <= LONGEST[name]:
                raise ValueError(
                    f"{name}: [{shortest}, {longest}] are not from 1 to {LONGEST[name]}, the shorter one first"
                )
        return self

    @property
    def spans(self) -> dict[Literal["words", "characters"], tuple[int, int]]:
        """The lengths of the n-grams of each kind that is wanted: from and to."""
        spans: dict[Literal["words", "characters"], tuple[int, int]] = {}
        if self.words:
            spans["words"] = self.words
        if self.characters:
            spans["characters"] = self.characters
        return spans


class Synthesis(Part):
    """Deep feature synthesis over the tables that relationships connect with the examples' table."""

    depth: int = Field(2, ge=1, le=4, description="How many primitives may be stacked: the mean of counts has depth 2.")
    aggregations: list[str] = Field(
        default=["count", "sum", "mean", "max", "num_unique"],
        min_length=1,
        description="featuretools' aggregation primitives over the rows of other tables that point here.",
    )
    transforms: list[str] = Field(
        default_factory=list, description="featuretools' transform primitives, applied to columns and to aggregates."
    )
    where: list[str] = Field(
        default_factory=list,
        description="Aggregations that are also made of the rows with each of a table's interesting_values alone.",
    )
    windows: list[Duration] = Field(
        default_factory=list,
        description="How far back the aggregations of an example's own rows also look, beside over all of the past.",
    )

    @model_validator(mode="after")
    def _primitives_have_sql(self) -> "Synthesis":
        from ml.primitives.catalogue import AGGREGATIONS, TRANSFORMS

        named = {"aggregations": (self.aggregations, AGGREGATIONS), "transforms": (self.transforms, TRANSFORMS)}
        named["where"] = (self.where, AGGREGATIONS)
        for name, (given, allowed) in named.items():
            if unknown := sorted(set(given) - set(allowed)):
                raise ValueError(f"{name}: {unknown} are no primitives that have SQL; allowed: {sorted(allowed)}")
        return self


class Selection(Part):
    """The choice of the features that a model is trained on, decided by training rows alone.

    One without any value, or with the same value in every training row, is always dropped.
    """

    missing: float = Field(
        1.0, ge=0, le=1, description="A feature with no value in more than this share of the training rows is dropped."
    )
    correlation: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Of two numeric features whose ranks correlate by more than this, either way, the one worth less "
        "to boosted trees is dropped.",
    )
    keep: int | None = Field(
        None, ge=1, description="Only this many features are kept: those worth most to boosted trees."
    )


class Features(Part):
    """The sources from which featuretools may build features."""

    calendar: dict[str, list[Calendar]] = Field(
        default_factory=dict, description="Parts of a time column of the examples' table: {departure: [hour, weekday]}."
    )
    only: list[str] = Field(
        default_factory=list, description="If given, no other features are made: names, or patterns such as MEAN(*."
    )
    ignore: list[str] = Field(
        default_factory=list, description="Features that are left out: names, or patterns such as *(items.*."
    )
    at_most: int = Field(1000, ge=1, description="More features than this are refused, with what makes them so many.")
    history: History | list[History] | None = Field(
        None, description="Aggregates over the past, one set for each group and window; one table or a list of them."
    )
    synthesis: Synthesis | None = Field(
        None, description="Aggregates of any depth over the tables that point at the examples, along the relationships."
    )
    text: dict[str, Terms] = Field(
        default_factory=dict,
        exclude_if=lambda text: not text,
        description="What is learned of columns whose logical type is text, where it is not the default: {review: "
        "{characters: null, terms: 2000}}.",
    )
    selection: Selection = Field(
        default_factory=Selection, description="Which of the features are dropped before training."
    )
    at_cutoff: Literal["excluded", "included"] = Field(
        "excluded", description="Whether an event at the very moment of the cutoff counts."
    )

    @property
    def histories(self) -> list[History]:
        return [self.history] if isinstance(self.history, History) else list(self.history or [])

    def wants(self, name: str) -> bool:
        """Return whether a feature is allowed by `only` and not left out by `ignore`."""
        allowed = not self.only or any(matches(name, pattern) for pattern in self.only)
        return allowed and not any(matches(name, pattern) for pattern in self.ignore)


def matches(name: str, pattern: str) -> bool:
    """Return whether a pattern, which may be the name itself, names a feature."""
    return name == pattern or fnmatchcase(name, pattern)
