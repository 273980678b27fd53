"""What a use case declares: the attributes of configs/<use_case>/defs.yaml, as typed, frozen models."""

import re
from datetime import date, timedelta
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    field_serializer,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails, InitErrorDetails

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_DURATION = re.compile(r"^([1-9]\d*)([smhd])$")
_CUTOFF = re.compile(r"^\s*(\w+)\s*(?:-\s*([1-9]\d*[smhd])\s*)?$")
# Whoever is named before the host, greedily, for a password may hold a slash; and every value after the question mark.
_USER, _VALUE = re.compile(r"(?<=://)[^?]*@"), re.compile(r"(?<==)[^&#]+")
_RELATIONSHIP = re.compile(r"^\s*(\w+)\.(\w+)\s*->\s*(\w+)\.(\w+)\s*$")


def without_secrets(location: str) -> str:
    """A path or URL without user, password, token or signature: those are replaced by three stars."""
    base, mark, query = _USER.sub("***@", location).partition("?")
    return base + mark + (_VALUE.sub("***", query) if "://" in base else query)


def duration(text: str) -> timedelta:
    """`3h` is three hours; units are s (seconds), m (minutes), h (hours) and d (days)."""
    match = _DURATION.match(text)
    if match is None:
        raise ValueError(f"{text!r} is not a duration: write a whole number and s, m, h or d, such as 30m, 3h or 14d")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def _check_duration(text: str) -> str:
    duration(text)
    return text


Duration = Annotated[str, AfterValidator(_check_duration)]
FamilyName = Literal["logistic", "lightgbm", "mlp"]
MetricName = Literal["roc_auc", "average_precision", "log_loss", "brier"]
Aggregation = Literal[
    "count", "mean", "std", "min", "max", "sum", "median", "first", "last", "num_unique", "time_since_last"
]
Calendar = Literal["minute", "hour", "weekday", "is_weekend", "day", "day_of_year", "week", "month", "quarter", "year"]


class Part(BaseModel):
    """A piece of a declaration: immutable, strict about types, and without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    @model_validator(mode="wrap")
    @classmethod
    def _list_allowed_keys(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return handler(value)
        except ValidationError as error:
            raise ValidationError.from_exception_data(cls.__name__, list(map(cls._explained, error.errors()))) from None

    @classmethod
    def _explained(cls, error: ErrorDetails) -> InitErrorDetails:
        """An unknown key of this model, with those that are allowed; any other error as it is."""
        kind, context = error["type"], error.get("ctx", {})
        if kind == "extra_forbidden" and len(error["loc"]) == 1:
            name, allowed = str(error["loc"][0]), sorted(cls.model_fields)
            near = [f", did you mean {each!r}" for each in get_close_matches(name, allowed, n=1)]
            kind = "value_error"
            context = {"error": ValueError(f"unknown key {name!r}{''.join(near)}; allowed: {', '.join(allowed)}")}
        return InitErrorDetails(type=kind, loc=error["loc"], input=error["input"], ctx=context)


class Source(Part):
    """Where a table comes from: exactly one of python, path or query."""

    python: str | None = Field(None, description="A callable `package.module:function` that returns a DataFrame.")
    path: str | None = Field(
        None, description="A CSV or Parquet file: a path, or any URL that fsspec reads (s3://, http://, …)."
    )
    query: str | None = Field(None, description="A SQL query that returns the table; needs `url`.")
    url: str | None = Field(
        None, description="The SQLAlchemy URL that `query` runs on, such as postgresql+psycopg2://host/db."
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> "Source":
        given = [name for name in ("python", "path", "query") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"a source needs exactly one of python, path or query; given: {given or 'none'}")
        if (self.query is None) != (self.url is None):
            raise ValueError("a SQL source needs both query and url")
        if self.python is not None and not re.match(r"^[\w.]+:\w+$", self.python):
            raise ValueError(f"python must look like package.module:function, given: {self.python!r}")
        return self

    @field_serializer("path", "url", when_used="json-unless-none")
    def _without_secrets(self, location: str) -> str:
        """Coordinates, tags and models carry the declaration; a secret belongs into none of them."""
        return without_secrets(location)


class Table(Part):
    """One source table."""

    source: Source = Field(description="Where the rows come from.")
    key: str | list[str] = Field(description="The column, or columns, that identify a row; checked to be unique.")
    time: str | None = Field(None, description="The column that says when a row happened; it must parse as a time.")
    computed: dict[str, str] = Field(
        default_factory=dict, description="Columns made from others, as SQL expressions: {late: arr_delay > 30}."
    )
    known_at: dict[str, list[str]] = Field(
        default_factory=dict,
        description="Columns that become known later than the row itself: {time column: [columns known from then on]}.",
    )
    valid_for: Duration | None = Field(
        None, description="How long a row of a table with `time` counts as the latest one, such as 6h."
    )
    ignore: list[str] = Field(default_factory=list, description="Columns that are left out of every feature.")

    @model_validator(mode="after")
    def _times_are_no_results(self) -> "Table":
        times = {*self.known_at, *([self.time] if self.time else [])}
        if computed := sorted(times & set(self.computed)):
            raise ValueError(f"{computed} are computed, but time and known_at must be columns of the source")
        return self

    @property
    def keys(self) -> list[str]:
        return [self.key] if isinstance(self.key, str) else list(self.key)

    @property
    def known_later(self) -> set[str]:
        """Columns whose value is not known when the row first appears, the times themselves included."""
        return set(self.known_at) | {column for columns in self.known_at.values() for column in columns}


class Split(Part):
    """How examples are divided: by two dates, or at random by two shares (stratified by the target)."""

    train_until: date | None = Field(None, description="Examples whose cutoff lies before this day train.")
    validate_until: date | None = Field(
        None, description="Examples from train_until to before this day validate; later ones test."
    )
    validation_share: float | None = Field(None, gt=0, lt=1, description="Share of random validation examples.")
    test_share: float | None = Field(None, gt=0, lt=1, description="Share of random test examples.")

    @model_validator(mode="after")
    def _one_way(self) -> "Split":
        dates, shares = (self.train_until, self.validate_until), (self.validation_share, self.test_share)
        if (None in dates or any(shares)) and (None in shares or any(dates)):
            raise ValueError("a split needs train_until and validate_until, or validation_share and test_share")
        if self.train_until and self.validate_until and self.train_until >= self.validate_until:
            raise ValueError(f"train_until ({self.train_until}) must lie before validate_until ({self.validate_until})")
        if self.validation_share and self.test_share and self.validation_share + self.test_share >= 1:
            raise ValueError("validation_share and test_share leave nothing to train on: their sum must be below 1")
        return self

    @property
    def by_time(self) -> bool:
        return self.train_until is not None


class Examples(Part):
    """Which rows are examples, what is asked of them, and when."""

    table: str = Field(description="The table whose rows are the examples, or are asked about at several times.")
    query: str | None = Field(
        None,
        description="A SQL query over the tables that gives the table's key, `cutoff` and `target`, instead of the "
        "three below: for examples that ask about the same row at several times. Where the target is null, the row is "
        "no example, but may be scored.",
    )
    where: str | None = Field(None, description="A SQL condition; rows that do not meet it are no examples.")
    cutoff: str | None = Field(
        None, description="When the prediction is made: a time column, or one less a duration (departure - 2h)."
    )
    target: str | None = Field(None, description="A SQL expression that is true for the positive class and never null.")
    split: Split = Field(description="How the examples are divided into train, validation and test.")

    @field_validator("cutoff")
    @classmethod
    def _check_cutoff(cls, text: str | None) -> str | None:
        if text is not None and not _CUTOFF.match(text):
            raise ValueError(f"{text!r} is not a cutoff: write a time column, or a time column - a duration such as 2h")
        return text

    @model_validator(mode="after")
    def _query_or_target(self) -> "Examples":
        given = [name for name in ("where", "cutoff", "target") if getattr(self, name) is not None]
        if self.query is not None and given:
            raise ValueError(f"examples.query says everything; leave out {', '.join(given)}")
        if self.query is None and self.target is None:
            raise ValueError("examples needs a target, or a query that gives key, cutoff and target")
        return self

    @property
    def timed(self) -> bool:
        """Whether each example has a cutoff."""
        return self.query is not None or self.cutoff is not None

    @property
    def cutoff_column(self) -> str | None:
        match = _CUTOFF.match(self.cutoff) if self.cutoff else None
        return match[1] if match else None

    @property
    def cutoff_before(self) -> timedelta:
        """How long before the time in the cutoff's column the prediction is made."""
        match = _CUTOFF.match(self.cutoff) if self.cutoff else None
        return duration(match[2]) if match and match[2] else timedelta(0)


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


class Family(Part):
    """How one model family is tuned."""

    trials: int = Field(5, ge=1, le=10_000, description="How many settings the search tries.")
    rows: int | None = Field(
        None, ge=100, description="Tune on at most this many training rows; the winner is refitted on all."
    )
    gpu: Literal["required", "preferred", "never"] = Field(
        "never", description="`required` fails without a GPU; `preferred` runs on the CPU instead and records it."
    )
    tolerance: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="How far a score may lie from the recorded one when the model is reproduced: above 0 only where "
        "training is not exact, as on a GPU.",
    )


class Models(Part):
    """The model families that compete; at least one."""

    logistic: Family | None = Field(None, description="Regularized logistic regression in a scikit-learn pipeline.")
    lightgbm: Family | None = Field(None, description="Gradient-boosted trees.")
    mlp: Family | None = Field(None, description="A small torch network with embeddings for categories.")

    @model_validator(mode="after")
    def _at_least_one(self) -> "Models":
        if not self.families:
            raise ValueError(f"no model family is declared; allowed: {sorted(type(self).model_fields)}")
        return self

    @property
    def families(self) -> dict[str, Family]:
        given = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: family for name, family in given.items() if family is not None}


class Bound(Part):
    """Limits for one metric on the test split."""

    at_least: float | None = Field(None, description="The gate refuses a value below this.")
    at_most: float | None = Field(None, description="The gate refuses a value above this.")

    @model_validator(mode="after")
    def _some_limit(self) -> "Bound":
        if self.at_least is None and self.at_most is None:
            raise ValueError("a bound needs at_least, at_most or both")
        return self


class ChampionGate(Part):
    """The candidate must not be worse than the champion on the same test rows (paired bootstrap)."""

    not_worse_by: float = Field(0.002, ge=0, description="How much worse the metric may be.")
    confidence: float = Field(0.95, gt=0.5, lt=1, description="How sure the comparison must be of that.")
    resamples: int = Field(300, ge=50, le=100_000, description="Bootstrap resamples of the test rows.")
    when_incomparable: Literal["refuse", "promote"] = Field(
        "refuse", description="What to do if the champion needs features that no longer exist."
    )


class Gates(Part):
    """What a candidate must pass before it becomes the champion."""

    roc_auc: Bound | None = Field(None, description="Limits for the area under the ROC curve.")
    average_precision: Bound | None = Field(None, description="Limits for the average precision.")
    log_loss: Bound | None = Field(None, description="Limits for the log loss.")
    brier: Bound | None = Field(None, description="Limits for the Brier score.")
    champion: ChampionGate = Field(default_factory=ChampionGate, description="The comparison with the champion.")

    @property
    def bounds(self) -> dict[str, Bound]:
        given = {name: getattr(self, name) for name in type(self).model_fields if name != "champion"}
        return {name: bound for name, bound in given.items() if bound is not None}


class Retrain(Part):
    """When the retrain job runs without being asked; both start switched on."""

    schedule: str | None = Field(None, description='A cron expression: "0 6 1 * *" is six o\'clock on the first.')
    timezone: str = Field("UTC", description="The time zone of the schedule.")
    on_new_data: list[str] = Field(
        default_factory=list, description="Tables to watch: new content starts the job, once per content."
    )
    check_every: Duration = Field("5m", description="How often the watched tables are looked at.")


class Score(Part):
    """Which rows the batch predictions cover."""

    where: str | None = Field(None, description="A SQL condition on the examples' table; all its rows if absent.")


class UseCaseSpec(Part):
    """One prediction problem: what to predict, from what, judged how."""

    description: str = Field(min_length=1, description="What is predicted, in one sentence; shown in the UI.")
    owners: list[str] = Field(default_factory=list, description="E-mail addresses, or teams as `team:name`.")
    task: Literal["binary"] = Field("binary", description="The kind of prediction: the probability of one class.")
    seed: int = Field(0, ge=0, description="Everything random derives from it.")
    tables: dict[str, Table] = Field(min_length=1, description="The source tables, by name.")
    relationships: list[str] = Field(
        default_factory=list,
        description="Which row of another table belongs to an example: `flights.tailnum -> planes.tailnum`. "
        "In a table with `time` it is the latest row not later than the cutoff.",
    )
    examples: Examples = Field(description="The rows to learn from.")
    features: Features = Field(default_factory=Features, description="What the features are built from.")
    models: Models = Field(description="The model families that compete.")
    metric: MetricName = Field("roc_auc", description="What tuning, the leaderboard and the champion gate go by.")
    gates: Gates = Field(default_factory=Gates, description="What a candidate must pass to become the champion.")
    score: Score = Field(default_factory=Score, description="The rows of the batch predictions.")
    retrain: Retrain = Field(default_factory=Retrain, description="When the retrain job starts by itself.")
    reuse: Literal["always", "never"] = Field(
        "always", description="Whether a result that would come out again the same is taken from where it is stored."
    )

    @field_validator("relationships")
    @classmethod
    def _check_relationships(cls, texts: list[str]) -> list[str]:
        if wrong := [text for text in texts if not _RELATIONSHIP.match(text)]:
            raise ValueError(f"a relationship reads `table.column -> table.column`; given: {wrong}")
        return texts

    @model_validator(mode="after")
    def _references(self) -> "UseCaseSpec":
        named = {
            "examples.table": [self.examples.table],
            "features.history.table": [history.table for history in self.features.histories],
            "relationships": [name for link in self.links for name in (link.child, link.parent)],
            "retrain.on_new_data": self.retrain.on_new_data,
        }
        problems = [
            f"{where} names the table {name!r}, which is not declared"
            for where, names in named.items()
            for name in names
            if name not in self.tables
        ]
        if not problems:
            problems = self._mistakes()
        if problems:
            raise ValueError("; ".join(sorted(set(problems))) + f". Declared tables: {sorted(self.tables)}")
        return self

    def _mistakes(self) -> list[str]:
        table, problems = self.tables[self.examples.table], []
        parents = [link.parent for link in self.links]
        if repeated := sorted({parent for parent in parents if parents.count(parent) > 1}):
            problems.append(f"relationships lead to {repeated} twice; declare the table again under another name")
        if self.examples.split.by_time and not self.examples.timed:
            problems.append("a split by dates needs examples.cutoff")
        for history in self.features.histories:
            events = self.tables[history.table]
            if not self.examples.timed:
                problems.append("features.history needs examples.cutoff, or nothing says what the past is")
            if not (events.known_at or events.time):
                problems.append(f"features.history needs the time, or known_at, of tables.{history.table}")
            if len(events.keys) > 1:
                problems.append(f"features.history needs a key of one column in {history.table!r}, given {events.keys}")
        if len(table.keys) > 1:
            problems.append(f"examples.table {self.examples.table!r} needs a key of one column, given {table.keys}")
        for link in self.links:
            parent = self.tables[link.parent]
            expected = [key for key in parent.keys if key != parent.time]
            if link.child != self.examples.table:
                problems.append(f"the relationship {link} must start at the examples' table {self.examples.table!r}")
            if expected != [link.parent_column]:
                problems.append(f"the relationship {link} must end at the key {expected} of {link.parent!r}")
            if parent.time is not None and not self.examples.timed:
                problems.append(f"the relationship {link} leads to a table with a time and needs examples.cutoff")
        return problems

    @property
    def links(self) -> list["Link"]:
        matches = [_RELATIONSHIP.match(text) for text in self.relationships]
        return [Link(*match.groups()) for match in matches if match]

    def times_of(self, table: str) -> set[str]:
        """Columns of a table that must be times because examples and features use them as such."""
        if table != self.examples.table:
            return set()
        return {*self.features.calendar, *([self.examples.cutoff_column] if self.examples.cutoff_column else [])}

    def resolved(self) -> dict[str, Any]:
        """The whole declaration after defaults, as plain JSON values: the `config` coordinate."""
        return UseCaseSpec.model_dump(self, mode="json")


class Link:
    """One relationship: a column of the examples' table points at a row of another table."""

    def __init__(self, child: str, child_column: str, parent: str, parent_column: str) -> None:
        self.child, self.child_column, self.parent, self.parent_column = child, child_column, parent, parent_column

    def __str__(self) -> str:
        return f"{self.child}.{self.child_column} -> {self.parent}.{self.parent_column}"
