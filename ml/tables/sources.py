"""The one door through which tables come in: from a source to rows that were checked, in a file or in memory.

Every source ends as Arrow or Parquet; DuckDB reads it in parts and writes it with the types that are declared. What
comes after may rely on the types of ml.tables.columns, on unique names, on a key, and on times in UTC.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ml.base.files import scratch_folder
from ml.base.hashing import hash_table
from ml.base.sql import DataError, connection, parquet_sql, quoted, text_sql
from ml.base.table_file import BATCH, TableFile
from ml.base.text import near
from ml.declaration.part import without_secrets
from ml.declaration.sources.kind import SourceKind
from ml.declaration.sources.rows import Rows
from ml.declaration.sources.spelling import Spelling
from ml.declaration.tables import ROW_NUMBER, Table
from ml.tables import computed
from ml.tables.columns import Column, UnknownType, as_dates, column, counts_sql, inferred, read_column, select_sql
from ml.tables.findings import AuditError, Finding
from ml.tables.types import is_text

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_SMALL = "compression zstd, compression_level 1"  # level 3 takes a sixth longer for two percent of the size
_DRAWS = 1_000_000  # of which a sample takes its share
_CELLS = 1 << 23  # of a row group, which is held while it is written
_ONE_TYPE = (
    "give each column values of one type: texts, numbers, booleans or times; declare in source.missing what stands for "
    "a missing one, or list under ignore what no one needs"
)
_SCHEMA = "rename it at its source, or list under ignore what no one needs"


def load_table(use_case: str, name: str, table: Table, times: Iterable[str] = (), first: int | None = None) -> pa.Table:
    """Return one source table in memory, as `write_table` writes it."""
    with scratch_folder() as folder:
        return write_table(use_case, name, table, times, folder, first).read()


def write_table(
    use_case: str, name: str, table: Table, times: Iterable[str], folder: Path, first: int | None = None
) -> TableFile:
    """Write one source table, checked against its declaration, with its computed columns, to a file in a folder.

    With `first` only so many of its rows are read, those that the source gives first.

    Columns in `times` hold times, beside those that the declaration of the table says. Times with an offset become
    UTC; what this machine takes for its own time zone does not matter.

    Raises AuditError if a declared column is missing, two names differ by case only, a column cannot be read, the key
    is not unique or has nulls, or a time does not parse: of such a table nothing can be made. Raises DataError if the
    source cannot be read.
    """
    where = f"use case {use_case!r}, table {name!r}"
    with connection(memory=_memory()) as opened, _readable(where, table.source), table.source.rows() as rows:
        return _Reading(where, table, frozenset(times), opened, folder, first).written(rows)


def pinned(use_case: str, name: str, table: Table) -> Table:
    """Return the declaration of a table whose source is at one version, where it has versions."""
    with _readable(f"use case {use_case!r}, table {name!r}", table.source):
        return table.model_copy(update={"source": table.source.pinned()})


def is_numbered(table: Table, columns: Iterable[str]) -> bool:
    """Return whether the rows of a table are named by their places, for no column is called so."""
    return table.keys == [ROW_NUMBER] and ROW_NUMBER not in columns


def content_hash(use_case: str, name: str, table: Table, times: Iterable[str]) -> str:
    """Return the hash of a source table's content, as its snapshot has it."""
    with scratch_folder() as folder:
        return hash_table(write_table(use_case, name, table, times, folder))


def _memory() -> str:
    """Return what a reading holds at most: of each thread a row group, and 1 GB at least."""
    return f"{max(1024, 128 * (os.cpu_count() or 1))}MB"


@contextmanager
def _readable(where: str, source: SourceKind) -> Iterator[None]:
    """Name the table and its source in whatever stops the reading."""
    try:
        yield
    except AuditError:
        raise
    except DataError as error:
        raise (error if str(error).startswith(where) else DataError(f"{where}: {error}")) from error
    except Exception as error:  # a callable may raise anything, and so may the driver of a file system or a database
        shown = without_secrets(source.named)
        reason = f"{type(error).__name__}: {error}".strip().splitlines()[0].replace(source.named, shown)
        raise DataError(
            f"{where}: source.{source.key} {shown!r} cannot be read: {reason}; correct it or its source"
        ) from error


@dataclass(frozen=True)
class _Reading:
    """The reading of one table."""

    where: str
    table: Table
    times: frozenset[str]
    connection: "DuckDBPyConnection"
    folder: Path
    first: int | None = None

    def written(self, rows: Rows) -> TableFile:
        """Write the table; return its file."""
        names = self._usable(rows)
        told = {name for name in names if self._logical(name) is None and (not rows.typed or name in rows.spelled)}
        known = self._known(rows.schema, [name for name in names if name not in told])
        relation = self._relation(rows, names)
        columns = self._readable(relation, self._columns(rows.schema, names, known, relation))
        if is_numbered(self.table, rows.schema.names):
            columns = [Column(ROW_NUMBER, "row_number() over ()"), *columns]
        return self._checked(self._copied(f"({self._sampled(columns, relation)})", "table"))

    def _sampled(self, columns: Sequence[Column], relation: str) -> str:
        """Return the query of the table: of a sample, the rows that the hash of their key draws, and those without."""
        query = select_sql(columns, relation)
        if self.table.sample is None:
            return query
        keys = [quoted(key) for key in self.table.keys]
        names = ", ".join(f"replace({text_sql(key)}, '|', '||')" for key in keys)
        nulls = " or ".join(f"{key} is null" for key in keys)
        drawn = f"md5_number(concat_ws('|', {names})) % {_DRAWS} < {round(self.table.sampled * _DRAWS)}"
        return f"select * from ({query}) where {drawn} or {nulls}"

    def _usable(self, rows: Rows) -> list[str]:
        """Return the columns that the table has: those that are ignored are left out where they could not be any."""
        table, names = self.table, list(rows.schema.names)
        if is_numbered(table, names) and table.source.unordered:
            raise self._error("uniqueness", f"key: {ROW_NUMBER} names a row by its place", table.source.unordered)
        made = {*table.derived, *([ROW_NUMBER] if is_numbered(table, names) else [])}
        if missing := sorted(table.named - {*names, *rows.refused} - made):
            fault = (
                f"the columns {missing} are declared but the source has none such{near(missing[0], names)}. It has "
                f"{sorted(map(str, names))}"
            )
            raise self._error("schema", fault, "correct the declaration or the source")
        ignored = set(table.ignore)
        unfit = [f"column {name!r}: {why}" for name, why in rows.refused.items() if name not in ignored]
        if unfit:
            raise self._error("types", "; ".join(unfit), _ONE_TYPE)
        if "" in names and "" not in ignored:
            raise self._error("schema", f"column {names.index('') + 1} of {len(names)} has no name", _SCHEMA)
        if faults := list(_shared_names(names, ignored, made)):
            raise self._error("schema", "; ".join(faults), _SCHEMA)
        repeated = {name for name, count in Counter(map(str.lower, names)).items() if count > 1}
        usable = [name for name in names if not (name in ignored and name.lower() in repeated)]
        return [name for name in usable if name and not (name in ignored and self._is_unknown(rows.schema.field(name)))]

    def _is_unknown(self, field: pa.Field) -> bool:
        try:
            column(field, self._logical(field.name))
        except UnknownType:
            return True
        return False

    def _logical(self, name: str) -> str | None:
        is_time = name in self.times | self.table.times | self.table.source.times
        return "time" if is_time else self.table.logical_types.get(name)

    def _relation(self, rows: Rows, names: Sequence[str]) -> str:
        """Return what DuckDB reads the rows from, as often as it likes."""
        source = rows.scan(names)
        relation = source if isinstance(source, str) else "source"
        if not isinstance(source, str):
            self.connection.register("source", without_halves(source))
        if self.first is not None:
            relation = f"(from {relation} limit {self.first})"
        if isinstance(source, str) or rows.again:
            return relation
        return _scanned(self._copied(relation, "source", "compression snappy"))

    def _known(self, schema: pa.Schema, names: Sequence[str]) -> dict[str, Column]:
        """Return how columns are read whose type is known or declared; no row is needed for that."""
        spelling = self.table.source.spelling
        return {
            name: read_column(self.where, schema.field(name), self._logical(name), spelling(name)) for name in names
        }

    def _columns(
        self, schema: pa.Schema, names: Sequence[str], known: Mapping[str, Column], relation: str
    ) -> list[Column]:
        """Return how each column is read."""
        spelling = {name: self.table.source.spelling(name) for name in names}
        texts = [name for name in known if spelling[name].dates and self._is_text(schema.field(name))]
        typed = self._inferred(relation, {name: spelling[name] for name in names if name not in known}, inferred)
        typed = {**known, **typed, **self._inferred(relation, {name: spelling[name] for name in texts}, as_dates)}
        columns = [typed[name] for name in names]
        self._check_used(columns)
        return columns

    def _inferred(
        self,
        relation: str,
        spelling: Mapping[str, Spelling],
        infer: Callable[[str, Sequence[int], Spelling], Column | None],
    ) -> dict[str, Column]:
        """Return how columns of texts are read whose type only their values tell."""
        queries = {name: counts_sql(name, each) for name, each in spelling.items()}
        if not queries:
            return {}
        counts = iter(self._row(f"select {', '.join(sql for each in queries.values() for sql in each)}", relation))
        columns = [infer(name, list(islice(counts, len(each))), spelling[name]) for name, each in queries.items()]
        return {column.name: column for column in columns if column is not None}

    def _is_text(self, field: pa.Field) -> bool:
        """Return whether a column holds texts of which nothing is declared."""
        return self._logical(field.name) is None and is_text(field.type)

    def _check_used(self, columns: Sequence[Column]) -> None:
        """Raise AuditError where an option of the source that is for all times is for none."""
        by = {option: {column.name for column in columns if option in column.by} for option in ("dates", "unit")}
        names = {column.name for column in columns}
        for option, used in by.items():
            declared = getattr(self.table.source, option, None)
            if isinstance(declared, str) and not used:
                remedy = (
                    f"name the columns of times in time, known_at or logical_types, or by column in source.{option}"
                )
                raise self._error("types", f"source.{option} is {declared!r}, and no column is a time by it", remedy)
            if unused := sorted(set(declared if isinstance(declared, dict) else ()) & names - used):
                fault = f"source.{option} names {unused}, whose values are times by themselves, or by another option"
                raise self._error("types", fault, "leave them out there")

    def _readable(self, relation: str, columns: Sequence[Column]) -> list[Column]:
        """Return the columns without ignored ones that cannot be read; raise AuditError for another such one."""
        doubtful = [column for column in columns if column.wrong]
        if not doubtful:
            return list(columns)
        counts = self._row(f"select count(*), {', '.join(f'count_if({c.wrong})' for c in doubtful)}", relation)
        unreadable = {doubt.name: count for doubt, count in zip(doubtful, counts[1:], strict=True) if count}
        for doubt in doubtful:
            if doubt.name in unreadable.keys() - set(self.table.ignore):
                first = self._row(f"select {quoted(doubt.name)}", relation, f"where {doubt.wrong} limit 1")[0]
                fault = doubt.fault.format(some=f"{unreadable[doubt.name]} of {counts[0]}")
                raise self._error("types", f"column {doubt.name!r}: {fault}, first {first!r}", doubt.remedy)
        return [column for column in columns if column.name not in unreadable]

    def _checked(self, file: TableFile) -> TableFile:
        """Return the file, with its computed columns, once times and key are checked."""
        relation, table = _scanned(file), self.table
        if table.time not in table.computed:
            self._check_times(file, relation)
        self._check_key(relation)
        if not table.derived:
            return file
        computed_file = self._computed(relation)
        if table.time in table.computed:
            self._check_times(computed_file, _scanned(computed_file))
        return computed_file

    def _check_times(self, file: TableFile, relation: str) -> None:
        table = self.table
        if table.time is None:
            return
        if unknown := self._row(f"select count_if({quoted(table.time)} is null)", relation)[0]:
            fault = f"column {table.time!r}: {unknown} rows have no time"
            raise self._error("missing_shares", fault, "fill or remove them")
        if table.known_at not in file.column_names:
            return
        known = str(table.known_at)
        early = f"{quoted(known)} < {quoted(table.time)}"
        count, rows = self._row(f"select count_if({early}), count(*)", relation)
        if count:
            first = self._row(f"select {_listed(table.keys)}", relation, f"where {early} limit 1")
            raise DataError(
                f"{self.where}: {count} of {rows} rows are known ({known}) before they happen ({table.time}), first "
                f"{table.keys} = {list(first)}; what is planned ahead has its outcome in columns of its own: "
                "known_at: {time: [columns]}; else correct the rows"
            )

    def _check_key(self, relation: str) -> None:
        keys, names = self.table.keys, _listed(self.table.keys)
        nulls = " or ".join(f"{quoted(key)} is null" for key in keys)
        if count := self._row(f"select count_if({nulls})", relation)[0]:
            fault = f"key {keys}: {count} rows have no key"
            raise self._error("missing_shares", fault, "remove them or declare another key")
        repeated = f"group by {names} having count(*) > 1"  # without an alias, which a key could be called too
        if shared := self._row("select sum(rows)", f"(select count(*) from {relation} {repeated}) as counts(rows)")[0]:
            first = dict(
                zip(keys, self._row(f"select {names}", relation, f"{repeated} order by all limit 1"), strict=True)
            )
            fault = f"key {keys}: {shared} rows share their key with another, first {first}"
            raise self._error("uniqueness", fault, "remove the duplicates or declare a key that is unique")

    def _computed(self, relation: str) -> TableFile:
        """Return a file with the computed columns too."""
        query = f"({computed.computed_sql(self.where, self.table, self.connection, relation)})"
        with computed.failures_named(self.where, self.table, self.connection, query):
            file = self._copied(query, "computed")
        computed.check_known(self.where, self.table, file)
        return file

    def _copied(self, relation: str, name: str, compression: str = _SMALL) -> TableFile:
        """Write rows to a file of the folder."""
        width = max(len(self.connection.sql(f"from {relation} limit 0").columns), 1)
        group = max(min(BATCH, _CELLS // width) // 2048 * 2048, 2048)
        path = self.folder / f"{name}.parquet"
        place = str(path).replace("'", "''")
        self.connection.execute(
            f"copy (from {relation}) to '{place}' (format parquet, {compression}, row_group_size {group})"
        )
        return TableFile(path)

    def _row(self, select: str, relation: str, rest: str = "") -> tuple[Any, ...]:
        """Return the one row of a query."""
        rows = self.connection.execute(f"{select} from {relation} {rest}").fetchall()
        return tuple(rows[0])

    def _error(self, check: str, fault: str, remedy: str) -> AuditError:
        return AuditError(self.where, [Finding(check, "", (fault,), remedy)])


def _shared_names(names: Sequence[str], ignored: set[str], derived: Iterable[str]) -> Iterator[str]:
    """Yield what is wrong with names that SQL, which does not tell cases apart, takes for one."""
    needed = [name for name in names if name not in ignored]
    names_made = list(derived)
    for lower, count in Counter(name.lower() for name in [*needed, *names_made]).items():
        if count > 1:
            same = [name for name in needed if name.lower() == lower]
            made = [name for name in names_made if name.lower() == lower]
            if made:
                yield f"{made[0]!r} is computed, and the source has a column {same[0] if same else made[1]!r} too"
            elif len(set(same)) == 1:
                yield f"the source has {count} columns {same[0]!r}"
            else:
                yield f"the columns {', '.join(map(repr, same))} differ by case only"


def without_halves(source: Any) -> Any:
    """Return a table or a stream of Arrow's with no half floats, of which DuckDB knows none."""
    halves = [pa.types.is_float16(kind) for kind in source.schema.types]
    fields = (
        field.with_type(pa.float32()) if half else field for field, half in zip(source.schema, halves, strict=True)
    )
    return source.cast(pa.schema(fields)) if any(halves) else source


def _scanned(file: TableFile) -> str:
    sql = parquet_sql(file.path)
    if sql is None:
        raise DataError(f"the folder for temporary files, {file.path.parent}, has one of *?[ in its name; set TMPDIR")
    return sql


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(quoted, names))
