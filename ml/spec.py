"""What a use case declares: the attributes of configs/<use_case>/defs.yaml, as typed, frozen models."""

import re
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from ml.declaration import Duration, Part
from ml.spec_features import Features
from ml.spec_models import Gates, MetricName, Models
from ml.spec_tables import Examples, Table

_RELATIONSHIP = re.compile(r"^\s*(\w+)\.(\w+)\s*->\s*(\w+)\.(\w+)\s*$")


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
