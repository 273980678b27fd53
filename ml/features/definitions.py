"""Definitions of features: each with where its value comes from, beside featuretools' own JSON of them."""

from collections.abc import Collection
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ml.declaration.features import Aggregation, Terms
from ml.tables.types import RecordType, SqlType
from ml.windows.window import Window
from service.plan.texts import Vocabulary, is_number_of, unlearned

LABEL_TYPES: dict[RecordType, SqlType] = {
    "number": "DOUBLE",
    "flag": "BOOLEAN",
    "text": "VARCHAR",
    "time": "TIMESTAMP",
}
CUTOFF = "cutoff"  # in a record that is asked about at several times: when
Kind = Literal["column", "calendar", "lookup", "window", "synthesis"]


class Feature(BaseModel):
    """One feature: its name, where its value comes from, and whether it is a number, a category or a text."""

    model_config = ConfigDict(frozen=True)

    name: str
    kind: Kind
    type: Literal["numeric", "categorical", "text"]
    column: str | None = None
    lookup: str | None = None
    primitive: str | None = None
    aggregation: Aggregation | None = None
    window_s: int | None = None
    made_of: list[tuple[str, str]] | None = None  # of a synthesized one: source tables and columns
    terms: Terms | None = Field(None, exclude_if=lambda terms: terms is None)  # of a text: what is learned of it

    def becomes(self, name: str) -> bool:
        """Return whether this is a text of which a number may have this name."""
        return self.type == "text" and is_number_of(self.name, name)


class Lookup(BaseModel):
    """A table in which a row finds values by its own columns `on`: always (static), as of its cutoff (latest), or of
    all events in a window that ends there (window).

    `time` is when a row became known, `happened` when it happened. Of a window's columns `scales` says how many decimal
    digits are kept; of `texts` only how many differ is known.
    """

    model_config = ConfigDict(frozen=True)

    kind: Literal["static", "latest", "window"]
    table: str
    on: list[str]
    keys: list[str]
    time: str | None = None
    happened: str | None = None
    valid_for_s: int | None = None
    scales: dict[str, int] = {}
    texts: list[str] = []


class View(BaseModel):
    """The rows of a source table, each seen from `time` on (None: always); its columns with their types in SQL."""

    model_config = ConfigDict(frozen=True)

    table: str
    key: str
    time: str | None = None
    columns: dict[str, SqlType]


class Synthesis(BaseModel):
    """The outcome of deep feature synthesis over `views`, as featuretools' own JSON; `seeds` are SQL over a row.

    `whole` are the columns that seeds are made of and that hold whole numbers, of which a double has not all digits.
    """

    model_config = ConfigDict(frozen=True)

    definitions: str
    seeds: dict[str, str]
    views: dict[str, View]
    whole: list[str] = []

    def label_type(self, name: str, kind: RecordType) -> SqlType:
        """Return the type in SQL of a column of an asked row."""
        return "BIGINT" if name in self.whole else LABEL_TYPES[kind]


class FeatureDefinitions(BaseModel):
    """All features of a use case. `row` and `history` are featuretools' own JSON (`featuretools.load_features`).

    `at_cutoff` says whether an event at the very moment of the cutoff counts.
    """

    model_config = ConfigDict(frozen=True)

    row: str
    history: dict[str, str]
    features: list[Feature]
    lookups: dict[str, Lookup]
    record: dict[str, Literal["time", "text", "number", "flag"]]
    at_cutoff: Literal["excluded", "included"] = "excluded"
    synthesis: Synthesis | None = None

    @property
    def numeric(self) -> list[str]:
        return [feature.name for feature in self.features if feature.type == "numeric"]

    @property
    def categorical(self) -> list[str]:
        return [feature.name for feature in self.features if feature.type == "categorical"]

    @property
    def texts(self) -> list[Vocabulary]:
        """The features that are texts: what is to be learned of each, of training rows alone."""
        terms = {feature.name: feature.terms or Terms() for feature in self.features if feature.type == "text"}
        return [unlearned(name, declared.spans, declared.terms, declared.rows) for name, declared in terms.items()]

    @property
    def tables(self) -> set[str]:
        """The tables whose rows the features are made of, beside that of the examples."""
        views = self.synthesis.views.values() if self.synthesis else ()
        return {source.table for source in (*self.lookups.values(), *views)}

    def only(self, names: Collection[str]) -> "FeatureDefinitions":
        """Return the definitions of some of the features, in their order, with the lookups that these need.

        `record` stays whole: what a caller may send does not change with what a training run selects.
        """
        features = [feature for feature in self.features if feature.name in names]
        used = {feature.lookup for feature in features}
        lookups = {name: lookup for name, lookup in self.lookups.items() if name in used}
        return self.model_copy(update={"features": features, "lookups": lookups})

    def sources(self, examples_table: str) -> dict[str, list[tuple[str, str]]]:
        """Return the columns of source tables that each feature is made of, as table and column, sorted."""
        return {feature.name: sorted(self._sources(feature, examples_table)) for feature in self.features}

    def _sources(self, feature: Feature, examples_table: str) -> set[tuple[str, str]]:
        if feature.kind == "synthesis":
            return set(feature.made_of or [])
        if feature.lookup is None:
            return {(examples_table, str(feature.column))}
        lookup = self.lookups[feature.lookup]
        columns = {(lookup.table, column) for column in [*lookup.keys, lookup.time, feature.column] if column}
        return columns | {(examples_table, column) for column in lookup.on}

    def windows(self, lookup: str) -> list[Window]:
        """Return the windows that a lookup is asked for, named as the features that they are."""
        return [
            Window(feature.name, feature.aggregation, feature.column, feature.window_s)
            for feature in self.features
            if feature.kind == "window" and feature.lookup == lookup and feature.aggregation
        ]
