"""What a use case declares of its features."""

from datetime import timedelta
from typing import Literal

from pydantic import Field

from ml.declaration import Duration, Part, duration

Aggregation = Literal[
    "count", "mean", "std", "min", "max", "sum", "median", "first", "last", "num_unique", "time_since_last"
]
Calendar = Literal["minute", "hour", "weekday", "is_weekend", "day", "day_of_year", "week", "month", "quarter", "year"]


class History(Part):
    """Aggregates of what was known at the cutoff, by group and window."""

    table: str = Field(description="The table whose past rows are aggregated.")
    group_by: list[str | list[str]] = Field(
        min_length=1,
        description="Columns that the history's table and the examples' table share, or lists of such; each makes its "
        "own features: [origin, [origin, carrier]].",
    )
    windows: list[Duration] = Field(min_length=1, description="How far back to look from the cutoff: [3h, 1d, 14d].")
    aggregations: list[Aggregation] = Field(
        default=["count", "mean", "std"],
        min_length=1,
        description="featuretools' aggregations; of a boolean, the mean is the share.",
    )

    @property
    def groups(self) -> list[list[str]]:
        return [[group] if isinstance(group, str) else list(group) for group in self.group_by]

    @property
    def longest(self) -> timedelta:
        return max(duration(window) for window in self.windows)


class Features(Part):
    """What featuretools may build the features from."""

    calendar: dict[str, list[Calendar]] = Field(
        default_factory=dict, description="Parts of a time column of the examples' table: {departure: [hour, weekday]}."
    )
    ignore: list[str] = Field(default_factory=list, description="Features that are left out, by name.")
    at_most: int = Field(1000, ge=1, description="More features than this are refused, with what makes them so many.")
    history: History | list[History] | None = Field(
        None, description="Aggregates over the past, one set for each group and window; one table or a list of them."
    )
    at_cutoff: Literal["excluded", "included"] = Field(
        "excluded", description="Whether an event at the very moment of the cutoff counts in the history."
    )

    @property
    def histories(self) -> list[History]:
        return [self.history] if isinstance(self.history, History) else list(self.history or [])
