"""The declaration of a use case: the attributes of configs/<use_case>/defs.yaml, as typed, frozen models."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator, model_validator

from ml.base.expressions import function_of, row_sql, tables_of
from ml.declaration import derived
from ml.declaration.audit import Audit
from ml.declaration.bento import BentoPlan
from ml.declaration.catalogue import families_for
from ml.declaration.evaluation import EvaluationPlan
from ml.declaration.features import Features
from ml.declaration.gates import Gates
from ml.declaration.models import Models
from ml.declaration.part import Duration, Part
from ml.declaration.production import Production
from ml.declaration.relationships import Link, ambiguous
from ml.declaration.search import Tuning
from ml.declaration.tables import OF_EXAMPLES, Examples, Table
from ml.declaration.tracking import TrackingPlan
from ml.tasks.metrics import DEFAULT_METRIC, MetricName, fits, metrics_of, ranks_within_groups, usual_metrics
from ml.tasks.objectives import Objective, ObjectiveName
from ml.tasks.row_weights import BALANCED
from ml.tasks.targets import TARGET
from ml.tasks.task import Kind, Task
from ml.tasks.transforms import TRANSFORMS, applied

if TYPE_CHECKING:
    import pandas as pd

DIRECTIONS = {"increasing": 1, "decreasing": -1}


class Retrain(Part):
    """When the retrain job runs without being asked; both start switched on."""

    schedule: str | None = Field(None, description='A cron expression: "0 6 1 * *" is six o\'clock on the first.')
    timezone: str = Field("UTC", description="The time zone of the schedule.")
    on_new_data: list[str] = Field(
        default_factory=list, description="Tables to watch: new content starts the job, once per content."
    )
    check_every: Duration = Field("5m", description="How often the watched tables are looked at.")


class Score(Part):
    """The rows that the batch predictions cover."""

    where: str | None = Field(None, description="A SQL condition on the examples' table; all its rows if absent.")

    @field_validator("where")
    @classmethod
    def _check_condition(cls, condition: str | None) -> str | None:
        if condition is not None:
            row_sql(condition)
        return condition


def _metric_of(data: dict[str, Any]) -> str:
    """Return the metric of a declaration that names none: that of its objective, or of its task."""
    of_objective = Objective.named(data.get("objective")).metric
    return of_objective or DEFAULT_METRIC[data.get("task", "binary")]


class UseCaseSpec(Part):
    """One prediction problem: what to predict, from what, judged how."""

    description: str = Field(min_length=1, description="What is predicted, in one sentence; shown in the UI.")
    owners: list[str] = Field(default_factory=list, description="E-mail addresses, or teams as `team:name`.")
    task: Kind = Field(
        "binary",
        description="The kind of prediction: `binary` is the probability of one class, `multiclass` that of each of "
        "several, `regression` a number.",
    )
    seed: int = Field(0, ge=0, description="Everything random derives from it.")
    tables: dict[str, Table] = Field(min_length=1, description="The source tables, by name.")
    relationships: list[str] = Field(
        default_factory=list,
        description="Which row of another table a row belongs to: `flights.tailnum -> planes.tailnum`. Of an example "
        "it is, in a table with `time`, the latest row known by the cutoff. What lies further on, and rows that "
        "point at an example, are for features.synthesis.",
    )
    examples: Examples = Field(description="The rows to learn from.")
    audit: Audit = Field(default_factory=Audit, description="What stops a run before training.")
    features: Features = Field(default_factory=Features, description="What the features are built from.")
    models: Models = Field(description="The model families that compete.")
    tuning: Tuning = Field(default_factory=Tuning, description="How the families' settings are searched for.")
    objective: ObjectiveName | None = Field(
        None,
        exclude_if=lambda objective: objective is None,  # so that what declares none is recorded as ever
        description="What models of a regression are trained to answer, if not the mean by squared errors: `mae`, "
        "`huber_1.5`, `quantile_0.9`, `poisson`, `gamma` or `tweedie_1.5`.",
    )
    monotone: dict[str, Literal["increasing", "decreasing"]] = Field(
        default_factory=dict,
        exclude_if=lambda monotone: not monotone,  # so that what declares none is recorded as ever
        description="Features that are numbers, as which the answer may only rise, or only fall.",
    )
    metric: MetricName = Field(
        default_factory=_metric_of,
        description="What tuning, the leaderboard and the champion gate go by: if absent, "
        f"{DEFAULT_METRIC['binary']} of a binary task, {DEFAULT_METRIC['multiclass']} of a multiclass one, "
        f"{DEFAULT_METRIC['regression']} of a regression, or that of its objective.",
    )
    evaluation: EvaluationPlan = Field(
        default_factory=EvaluationPlan, description="How the report on the test split is made."
    )
    gates: Gates = Field(default_factory=Gates, description="What a candidate must pass to become the champion.")
    production: Production = Field(
        default_factory=Production, description="How a candidate that passed its gates becomes the champion."
    )
    score: Score = Field(default_factory=Score, description="The rows of the batch predictions.")
    bento: BentoPlan = Field(
        default_factory=BentoPlan,
        exclude_if=lambda bento: not bento.extras,  # so that what declares none is recorded as ever
        description="What the Bento's environment holds besides what its model needs.",
    )
    tracking: TrackingPlan = Field(default_factory=TrackingPlan, description="What else is logged to MLflow.")
    retrain: Retrain = Field(default_factory=Retrain, description="When the retrain job starts by itself.")
    reuse: Literal["always", "never"] = Field(
        "always", description="Whether a result that would come out again the same is taken from where it is stored."
    )

    @field_validator("tables")
    @classmethod
    def _check_names(cls, tables: dict[str, Table]) -> dict[str, Table]:
        if wrong := [name for name in tables if not re.fullmatch(r"[A-Za-z0-9_]+", name)]:
            raise ValueError(f"{wrong} are no names of tables, which become assets: write letters a to z, digits and _")
        return tables

    @field_validator("relationships")
    @classmethod
    def _check_relationships(cls, texts: list[str]) -> list[str]:
        if wrong := [text for text in texts if Link.read(text) is None]:
            raise ValueError(
                "a relationship reads `table.column -> table.column`, or `table.(a, b) -> table.(a, b)` where a key "
                f"has several columns; given: {wrong}"
            )
        return texts

    @model_validator(mode="after")
    def _fitting_the_task(self) -> "UseCaseSpec":
        allowed = metrics_of(self.task)
        named = {
            "metric": [self.metric],
            "evaluation.metrics": self.evaluation.metrics,
            "gates": list(self.gates.bounds),
            "gates.plausible.limits": list(self.gates.plausible.limits),
        }
        problems = [
            f"{where}: {name} does not fit the task {self.task!r}; allowed: {', '.join(allowed)}"
            for where, names in named.items()
            for name in names
            if not fits(name, self.task)
        ]
        able = families_for(self.task)
        problems += [
            f"models: {name} cannot learn the task {self.task!r}; those that can: {', '.join(able)}"
            for name in self.models.families
            if name not in able and name not in self.models.references
        ]
        if self.objective is not None and self.task != "regression":
            problems.append(f"objective: {self.objective} is for numbers; the task is {self.task!r}")
        if self.task == "regression" and self.examples.one_target is not None:
            problems += self._transform_problems(self.examples.one_target)
        if self.examples.ranked_within is None:
            problems += [
                f"{where}: {name} ranks rows within groups: name their column, such as a query or a user, in "
                "examples.ranked_within"
                for where, names in named.items()
                for name in names
                if ranks_within_groups(name)
            ]
        if self.examples.targets and self.task != "binary":
            problems.append(
                f"examples.target: several targets are for the task 'binary', where each is true or false; this is "
                f"{self.task!r}: declare a use case for each of {', '.join(self.examples.targets)}"
            )
        if self.monotone and self.task == "multiclass":
            problems.append("monotone: of many classes none could rise without another falling; declare another task")
        if self.examples.weights == BALANCED and self.task == "regression":
            problems.append("examples.weights: balanced is for classes; name a column that says how much a row counts")
        if self.models.ensemble and self.models.ensemble.calibrate and self.task == "regression":
            problems.append("models.ensemble.calibrate: only probabilities can be surer; leave it out for numbers")
        if self.evaluation.threshold is not None and self.task != "binary":
            problems.append(f"evaluation.threshold: only the task 'binary' has a threshold; this is {self.task!r}")
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _transform_problems(self, target: str) -> Iterator[str]:
        """Yield why the transform of a target, and its objective, have no inverse that an answer could be given by."""
        if applied(target) is None:
            if (function := function_of(target)) in TRANSFORMS:
                yield (
                    f"examples.target: {target} is {function} of more than a column, which could not be answered; name "
                    "that in computed, and write the column here; log1p(x) is ln(1 + x)"
                )
        elif Objective.named(self.objective).link == "log":
            yield f"objective: {self.objective} learns logarithms by itself; declare it, or {target}, not both"

    @model_validator(mode="after")
    def _measured(self) -> "UseCaseSpec":
        """Add to what is measured beside the usual metrics what tuning and gates go by."""
        named = {*self.evaluation.metrics, self.metric, *self.gates.bounds, *self.gates.plausible.limits}
        further = sorted(named - set(usual_metrics(self.task)))
        if further != self.evaluation.metrics:
            vars(self)["evaluation"] = self.evaluation.model_copy(update={"metrics": further})
        return self

    @model_validator(mode="after")
    def _key_of_the_examples(self) -> "UseCaseSpec":
        table = self.tables.get(self.examples.table)
        if table is None:
            return self
        named = {"the key": set(table.keys), "the column, by which rows are found,": derived.looked_up_by(self)}
        every = {*OF_EXAMPLES, *map(str.lower, self.examples.target_columns)}
        for what, columns in named.items():
            if taken := sorted(name for name in columns if name.lower() in every):
                raise ValueError(
                    f"{what} {taken[0]!r} of {self.examples.table!r} has the name of a column that every example has; "
                    "give it another name at its source"
                )
        return self

    @model_validator(mode="after")
    def _references(self) -> "UseCaseSpec":
        named = {
            "examples.table": [self.examples.table],
            "features.history.table": [history.table for history in self.features.histories],
            "relationships": [name for link in self.links for name in (link.child, link.parent)],
            "retrain.on_new_data": self.retrain.on_new_data,
            "examples.query": self._queried(),
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

    def _queried(self) -> list[str]:
        """Return the tables that examples.query reads, by their declared names where they have one."""
        declared = {name.lower(): name for name in self.tables}
        return [declared.get(name, name) for name in sorted(tables_of(self.examples.query or "select 1"))]

    def _mistakes(self) -> list[str]:
        table, problems = self.tables[self.examples.table], list(self.examples.split.mistakes(self.examples.timed))
        column = self.examples.split.named_by
        if column is not None and column not in table.ignore:
            problems.append(
                f"examples.split.column {column!r} says which rows train, so it may be no feature: "
                f"write tables.{self.examples.table}.ignore: {[*table.ignore, column]}"
            )
        for history in self.features.histories:
            events = self.tables[history.table]
            if not self.examples.timed:
                problems.append("features.history needs examples.cutoff, or nothing says what the past is")
            if not (events.known_from or events.moment):
                problems.append(f"features.history needs the time, or known_at, of tables.{history.table}")
        if "no_group_in_two_splits" in self.audit.warn and not self.grouped:
            problems.append("audit.warn: no_group_in_two_splits needs examples.split.group, or ranked_within")
        if "no_ranked_group_in_two_splits" in self.audit.warn and self.examples.ranked_within in (
            None,
            self.kept_whole,
        ):
            problems.append(
                "audit.warn: no_ranked_group_in_two_splits needs examples.ranked_within, and a split that keeps other "
                "groups whole"
            )
        problems += [problem for link in self.lookups for problem in self._wrong_lookup(link)]
        return problems + self._wrong_synthesis() + [f"relationships {each}" for each in ambiguous(self.links)]

    def _wrong_lookup(self, link: Link) -> Iterator[str]:
        parent = self.tables[link.parent]
        expected = [key for key in parent.keys if key not in (parent.time, parent.moment)]
        if sorted(expected) != sorted(link.parent_columns):
            yield f"the relationship {link} must end at the key {expected} of {link.parent!r}"
        if parent.moment is not None and not self.examples.timed:
            yield f"the relationship {link} leads to a table with a time and needs examples.cutoff"

    def _wrong_synthesis(self) -> list[str]:
        further = [link for link in self.links if link not in self.lookups]
        if self.features.synthesis is None:
            return [
                f"the relationship {link} does not start at the examples' table {self.examples.table!r}: declare "
                "features.synthesis, which follows it, or leave it out"
                for link in further
            ]
        problems = [problem for link in further for problem in self._wrong_relation(link)]
        if self.key is None:
            problems.append(
                f"features.synthesis needs a key of one column in {self.examples.table!r}, given {self.keys}"
            )
        if not self.examples.timed:
            problems.append("features.synthesis needs examples.cutoff, or nothing says what the past is")
        if not further:
            problems.append(
                "features.synthesis needs relationships from other tables to the examples' or a further one"
            )
        return problems

    def _wrong_relation(self, link: Link) -> Iterator[str]:
        child, parent = self.tables[link.child], self.tables[link.parent]
        if parent.keys != list(link.parent_columns) or len(parent.keys) > 1:
            yield f"the relationship {link} must end at the key {parent.keys} of {link.parent!r}, of one column"
        if len(child.keys) > 1:
            yield f"the relationship {link} needs a key of one column in {link.child!r}, given {child.keys}"
        parents = [each.parent for each in self.links if each.child == link.child]
        if not (child.moment or child.known_from) and not any(map(self._is_dated, parents)):
            yield f"the relationship {link} needs tables.{link.child}.time, or its rows are seen at every cutoff"

    def _is_dated(self, table: str) -> bool:
        """Return whether what is known of a table's rows depends on the cutoff."""
        return self.tables[table].moment is not None and table != self.examples.table

    @property
    def samples(self) -> str:
        """The tables of which a sample is read, as a sentence has them; an empty text where there are none."""
        return derived.samples(self)

    @property
    def keys(self) -> list[str]:
        """The key columns of the examples' table."""
        return derived.keys(self)

    @property
    def key(self) -> str | None:
        """The key column of the examples' table; None where it has several, of which none names a row alone."""
        return derived.key(self)

    @property
    def grouped(self) -> bool:
        """True where rows belong to groups that may not be in two splits, as those of a key do in a random split."""
        return derived.grouped(self)

    @property
    def kept_whole(self) -> str | None:
        """The column whose values may not be in two splits; None where there is none, or where it is the key."""
        return derived.kept_whole(self)

    @property
    def links(self) -> list[Link]:
        """The relationships, read."""
        return derived.links(self)

    @property
    def lookups(self) -> list[Link]:
        """The relationships that start at the examples' table."""
        return derived.lookups(self)

    @property
    def looked_up_by(self) -> set[str]:
        """The columns of the examples' table by which rows of the past and of other tables are found."""
        return derived.looked_up_by(self)

    @property
    def of_the_past(self) -> bool:
        """True where features depend on when an example is asked."""
        return derived.of_the_past(self)

    def task_of(self, rows: "pd.DataFrame") -> Task:
        """Return the task of rows with their targets: of many classes, those that they have."""
        if self.examples.targets:
            return Task(self.task, targets=tuple(self.examples.targets))
        return Task.of(self.task, rows[TARGET])

    def foreign_keys(self, table: str) -> set[str]:
        """Return the columns of a table that name a row of another, unless logical_types says what they hold."""
        return derived.foreign_keys(self, table)

    def times_of(self, table: str) -> set[str]:
        """Return the columns of a table that must be times because examples and features use them as such."""
        return derived.times_of(self, table)

    def resolved(self) -> dict[str, Any]:
        """Return the whole declaration after defaults, as plain JSON values."""
        return UseCaseSpec.model_dump(self, mode="json")
