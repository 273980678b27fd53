"""The columns of a profile: those of its own row that an example knows at its cutoff, and those that it looks up."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml.base.hashing import hash_bytes
from ml.base.keys import places
from ml.base.times import microseconds
from ml.declaration.use_case import UseCaseSpec
from ml.examples.known import known_columns
from ml.features.define import lookups_of
from ml.features.matrix import rows_of
from ml.tables.types import RecordType, record_type

ColumnKind = RecordType
WORDS = "words"  # the type of texts of which the words count
EXACT = 2**53  # up to which a double holds every whole number


@dataclass(frozen=True)
class Column:
    """A column, row by row as the examples: `values` are numbers, NaN where one is missing, or codes of texts, -1.

    A time is in seconds since 1970. `labels` are the texts by their code. `whole` are whole numbers of which a double
    has not all digits, 0 where one is missing.
    """

    name: str
    table: str
    kind: ColumnKind
    type: str
    values: np.ndarray
    labels: pa.Array
    whole: np.ndarray | None = None

    @property
    def is_text(self) -> bool:
        return self.kind == "text"

    @cached_property
    def missing(self) -> np.ndarray:
        """The rows without a value, [n_rows] of booleans."""
        return self.values < 0 if self.is_text else np.isnan(self.values)

    @cached_property
    def ordered(self) -> np.ndarray:
        """The numbers in their order, without missing ones; of texts their codes."""
        ordered: np.ndarray = np.sort(self.values[~self.missing])
        return ordered

    @cached_property
    def distinct_values(self) -> np.ndarray:
        """The numbers that differ, in their order."""
        ordered = self.ordered
        return ordered[np.append(True, ordered[1:] != ordered[:-1])] if len(ordered) else ordered

    @property
    def distinct(self) -> int:
        """The number of values that differ."""
        if self.whole is not None:
            return len(np.unique(self.whole[~self.missing]))
        return len(self.labels) if self.is_text else len(self.distinct_values)

    def identity(self) -> str:
        """Return the hash of the type and of all values in their order."""
        labels = self.labels.to_pylist()
        numbers = self.values if self.is_text else self.values + 0.0  # both zeros as one
        digits = b"" if self.whole is None else self.whole.tobytes()
        return hash_bytes(f"{self.type} {labels}".encode() + numbers.tobytes() + digits)


def columns_of(spec: UseCaseSpec, tables: Mapping[str, pa.Table], examples: pa.Table) -> Iterator[Column]:
    """Yield the columns that a person knows when an example is asked about, one at a time.

    Those of another table that a relationship finds are as of the cutoff. The key and the cutoff itself are left out,
    and so is what histories and syntheses make.
    """
    table = tables[spec.examples.table]
    cutoff = examples["cutoff"].cast(pa.timestamp("us"), safe=False)
    place = places(examples.select(spec.keys).columns, table.select(spec.keys).columns).combine_chunks()
    for name in known_columns(spec, table):
        if name not in (*spec.keys, spec.examples.cutoff_column):
            words = name in spec.tables[spec.examples.table].texts
            yield column(name, spec.examples.table, table[name].take(place), words)
    for parent, lookup in lookups_of(spec).items():
        declared, source = spec.tables[parent], tables[parent]
        hidden = {*declared.ignore, *declared.known_later, *declared.keys, *declared.times}
        visible = [name for name in source.column_names if name not in hidden]
        needed = list(dict.fromkeys([*visible, *lookup.keys, *filter(None, (lookup.time, lookup.happened))]))
        own = table.select(lookup.on).take(place).columns
        looked_up = rows_of(lookup, source.select(needed), own, cutoff, spec.features.at_cutoff == "included")
        for name in visible:
            yield column(f"{parent}.{name}", parent, looked_up.pop(name), name in declared.texts)


def column(name: str, table: str, values: pa.ChunkedArray, words: bool = False) -> Column:
    """Return a column of Arrow's values; it is of the type "words" where the words of its texts count."""
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    kind = record_type(values.type)
    if kind == "text":
        encoded = values.combine_chunks().cast(pa.large_string()).dictionary_encode()
        codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
        return Column(name, table, kind, WORDS if words else "text", codes, encoded.dictionary)
    if kind == "time":
        numbers = np.where(values.is_null().to_numpy(), np.nan, microseconds(values) / 1e6)
    else:
        numbers = values.cast(pa.float64(), safe=False).to_numpy()
    return Column(name, table, kind, _described(values.type), numbers, pa.array([], pa.large_string()), _whole(values))


def _whole(values: pa.ChunkedArray) -> np.ndarray | None:
    """Return whole numbers, 0 where one is missing, if a double has not all digits of some; else None."""
    if not pa.types.is_integer(values.type):
        return None
    whole: np.ndarray = pc.fill_null(values, 0).to_numpy()
    return whole if ((whole > EXACT) | (whole < -EXACT)).any() else None


def _described(kind: pa.DataType) -> Literal["time", "boolean", "integer", "number"]:
    if pa.types.is_timestamp(kind):
        return "time"
    if pa.types.is_boolean(kind):
        return "boolean"
    return "integer" if pa.types.is_integer(kind) else "number"
