"""Synthesis: the features of a model that the plan's query makes of the rows around a record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.plan.document import BundleError
from service.plan.parts import SqlType, Synthesis
from service.plan.synthesis import LABELS
from service.records.reader import InvalidRecords, Problem, Record
from service.synthesis.labels import Labels
from service.synthesis.prepared import Prepared
from service.synthesis.reach import Reach
from service.synthesis.rows import Rows

MOST_PROBLEMS = 100  # to find more of them would take too long
_ALLOWED = "values of which all features can be computed"
RECORDS_AT_ONCE = 1_000  # a run's parameters are text in memory


class Synthesizer:
    """The computation of the features called `numeric` and `categorical`; any thread may call it."""

    def __init__(self, synthesis: Synthesis, numeric: Sequence[str], categorical: Sequence[str]) -> None:
        self._numeric = len(numeric)
        self._labels, self._reach = Labels(synthesis), Reach(synthesis)
        shapes = {LABELS: self._labels.types, **{name: table.columns for name, table in synthesis.tables.items()}}
        types: dict[str, SqlType] = {**dict.fromkeys(numeric, "DOUBLE"), **dict.fromkeys(categorical, "VARCHAR")}
        self._query = _prepare(synthesis.query, types, shapes)

    def values(
        self, records: Sequence[Record], tables: Mapping[str, Rows], warnings: Sequence[list[str]]
    ) -> tuple[NDArray[np.float32], NDArray[np.object_]]:
        """Compute the features of some records, one row each: numeric, missing NaN, and categorical, missing "".

        Adds to the records' `warnings` what their callers should know. Raises InvalidRecords for those whose features
        cannot be computed, such as a text that is to be a number and spells none.
        """
        import duckdb

        rows: list[tuple[Any, ...]] = []
        for start in range(0, len(records), RECORDS_AT_ONCE):
            some = slice(start, start + RECORDS_AT_ONCE)
            try:
                rows += self._rows(records[some], tables, warnings[some])
            except duckdb.Error as error:
                failing = islice(self._failing(range(len(records))[some], records, tables), MOST_PROBLEMS)
                problems = [Problem(reason, index, None, None, _ALLOWED) for index, reason in failing]
                raise (InvalidRecords(problems) if problems else error) from None
        if len(rows) != len(records):
            raise ArithmeticError(f"the query of the synthesized features made {len(rows)} rows of {len(records)}")
        return self._matrices(rows)

    def _rows(
        self, records: Sequence[Record], tables: Mapping[str, Rows], warnings: Sequence[list[str]]
    ) -> list[tuple[Any, ...]]:
        labels = self._labels.of(records)
        return self._query.run({LABELS: labels, **self._reach.rows(labels, tables, warnings)})

    def _failing(
        self, indices: range, records: Sequence[Record], tables: Mapping[str, Rows]
    ) -> Iterator[tuple[int, str]]:
        """Yield the records on which the query fails, each with the reason, found by halving."""
        import duckdb

        try:
            self._rows([records[index] for index in indices], tables, [[] for _ in indices])
        except duckdb.Error as error:
            if len(indices) == 1:
                yield indices[0], str(error).partition("\n")[0]
            else:
                middle = len(indices) // 2
                yield from self._failing(indices[:middle], records, tables)
                yield from self._failing(indices[middle:], records, tables)

    def _matrices(self, rows: Sequence[tuple[Any, ...]]) -> tuple[NDArray[np.float32], NDArray[np.object_]]:
        stop = 1 + self._numeric  # the first column is the row's number
        with np.errstate(over="ignore"):  # what float32 cannot hold counts as missing, as in training
            numeric = np.array([row[1:stop] for row in rows], np.float64).astype(np.float32)
        numeric[~np.isfinite(numeric)] = np.nan
        return numeric, np.array([["" if value is None else value for value in row[stop:]] for row in rows], object)


def _prepare(query: str, types: Mapping[str, SqlType], shapes: Mapping[str, Mapping[str, SqlType]]) -> Prepared:
    """Prepare the query, once it has shown on no rows at all that it returns these columns."""
    import duckdb

    try:
        prepared = Prepared(query, list(types), shapes)
        returned = prepared.types()
    except duckdb.Error as error:
        raise BundleError("plan.json", [f"the query of the synthesis fails: {error}"]) from None
    problems = [
        f"the query of the synthesis yields {name!r} as {returned[name]}, not {kind}"
        for name, kind in types.items()
        if returned[name] != kind
    ]
    if problems:
        raise BundleError("plan.json", sorted(problems))
    return prepared
