"""What a use case declares of its tables, and of the rows to learn from."""

import re
from datetime import date, timedelta

from pydantic import Field, field_serializer, field_validator, model_validator

from ml.declaration import Duration, Part, duration, without_secrets

_CUTOFF = re.compile(r"^\s*(\w+)\s*(?:-\s*([1-9]\d*[smhd])\s*)?$")


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
