"""SQL that a declaration says: what an expression may look at, and a number that does not exist, which is null."""

import atexit
import copy
import json
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from itertools import chain
from typing import TYPE_CHECKING, Any

from ml.base.sql import DataError, quoted
from ml.base.text import near, shortened

if TYPE_CHECKING:
    import duckdb

Node = dict[str, Any]  # of the tree that DuckDB's json_serialize_sql gives
SHOWN = 400  # characters of an expression or a query in an error
_STOPS = "error"  # a function whose value does not differ, for it has none
_TO_TODAY = ("age", 1)  # which DuckDB's catalogue does not say
_UNKNOWN = "list_filter([x], lambda v: typeof(v) NOT IN ('DOUBLE', 'FLOAT') OR isfinite(try_cast(v AS DOUBLE)))[1]"
_FLOATS, _TIMES = ("DOUBLE", "FLOAT"), ("DATE", "TIME")
_ANYTHING = ("ANY", "T", "K", "V", "UNION", "VARIANT")
_IN_A_ROW = (
    "BETWEEN", "CASE", "CAST", "COLLATE", "COLUMN_REF", "COMPARISON", "CONJUNCTION", "CONSTANT", "FUNCTION", "LAMBDA",
    "OPERATOR", "TYPE",
)  # fmt: skip
_MAIN = "main"
_OF_VALUES = ("range", "generate_series", "unnest", "repeat", "repeat_row", "json_each", "json_tree")
_OF_MANY_ROWS = {
    "WINDOW": "a window function",
    "SUBQUERY": "a subquery",
    "STAR": "all columns at once",
    "PARAMETER": "a parameter",
    "POSITIONAL_REFERENCE": "a column by its position",
}


def row_sql(expression: str, types: Mapping[str, str] | None = None) -> str:
    """Return an expression over the columns of one row as SQL in which a number that does not exist is null.

    That is what 0/0, 1/0, the root of a negative number, an overflow, 'nan' and 'inf' are: null before anything is
    asked of them, for DuckDB puts NaN above every number. `types` are those of numbers that arrive as DOUBLE and mean
    another type, in which 7 // 2 is another number. Raises DataError where the text is no single expression, or looks
    at anything but its row: at other rows, or at what differs from run to run.
    """
    return _row_sql(expression, tuple(sorted((name.lower(), kind) for name, kind in (types or {}).items())))


def query_sql(query: str) -> str:
    """Return a query over tables as SQL in which a number that does not exist is null.

    Raises DataError where the text is no single query, looks at what differs from run to run, or makes rows of anything
    but tables and its own values.
    """
    with _named_if_deep(query):
        tree = _parsed(query)
        if len(tree["statements"]) != 1:
            raise DataError(f"{query!r} is not one query but {len(tree['statements'])}; correct the declaration")
        for reason in chain(_changes(tree, query, 0), _elsewhere(tree)):
            raise DataError(f"{shortened(query, SHOWN)!r} {reason}")
        return _text(_Guard(in_query=True).of(tree))


def tables_of(query: str) -> set[str]:
    """Return the tables that a query reads, in lower case, without those that it names itself.

    One of another schema is named with it. Raises DataError if the text is no query.
    """
    with _named_if_deep(query):
        nodes = list(nodes_of(_parsed(query)))
    own = {entry["key"].lower() for node in nodes for entry in node.get("cte_map", {}).get("map", [])}
    named = [node for node in nodes if node.get("type") == "BASE_TABLE"]
    tables = {(str(node.get("schema_name") or _MAIN).lower(), node["table_name"].lower()) for node in named}
    return {name if schema == _MAIN else f"{schema}.{name}" for schema, name in tables} - own


def columns_of(expression: str) -> set[str]:
    """Return the columns that a SQL expression refers to, in lower case: DuckDB's names do not tell cases apart.

    Raises DataError if it is no expression of one row.
    """
    return set(_columns(expression))


def function_of(expression: str) -> str | None:
    """Return the name of the function that all of an expression is a call of, in lower case; None if it is none."""
    item = _item(_row_tree(expression))
    return str(item["function_name"]).lower() if item["class"] == "FUNCTION" else None


def sources_of(columns: Iterable[str], computed: Mapping[str, str]) -> set[str]:
    """Return these columns and all that they are computed from, in lower case."""
    expressions = {name.lower(): expression for name, expression in computed.items()}
    sources: set[str] = set()
    rest = {name.lower() for name in columns}
    while rest:
        name = rest.pop()
        sources.add(name)
        rest |= (columns_of(expressions[name]) if name in expressions else set()) - sources
    return sources


def in_order(computed: Mapping[str, str]) -> dict[str, str]:
    """Return expressions by the names of their columns, each after those that it names.

    Raises DataError where some are computed of one another in a circle.
    """
    names = {name.lower(): name for name in computed}
    needed = {
        name: [names[column] for column in sorted(columns_of(expression) & names.keys())]
        for name, expression in computed.items()
    }
    try:
        return {name: computed[name] for name in TopologicalSorter(needed).static_order()}
    except CycleError as error:
        circle = " of ".join(map(repr, error.args[1]))
        raise DataError(f"computed columns in a circle: {circle}; compute them of other columns") from None


def check_columns_of(where: str, expression: str, columns: Iterable[str]) -> None:
    """Raise DataError where an expression names what is no column: DuckDB takes `current_date` for a function."""
    names = sorted(columns)
    if missing := sorted(columns_of(expression) - {name.lower() for name in names}):
        raise DataError(
            f"{where}: {expression!r} names {missing}, which are no columns{_meant(missing, names)}; there are "
            f"{names}; correct the expression in the declaration"
        )


def _meant(missing: Sequence[str], columns: Sequence[str]) -> str:
    """Return what may have been meant: a name that SQL takes only in quotes, else one that is like the first."""
    parts = {name: re.findall(r"\w+", name.lower()) for name in columns if not re.fullmatch(r"[^\W\d]\w*", name)}
    if odd := [quoted(name) for name, words in parts.items() if set(words) & set(missing)]:
        return f": a name with other marks than letters, digits and _ stands in quotes, {' or '.join(odd[:3])}"
    return near(missing[0], columns)


@cache
def _row_sql(expression: str, types: tuple[tuple[str, str], ...]) -> str:
    with _named_if_deep(expression):
        guarded = _Guard(in_query=False, types=dict(types)).of(_row_tree(expression))
        return _text(guarded).removeprefix("SELECT ")


@cache
def _columns(expression: str) -> frozenset[str]:
    return frozenset(_names(_item(_row_tree(expression)), frozenset()))


def _row_tree(expression: str) -> Node:
    """Return the tree of `select (expression)`, checked to be one expression over one row."""
    with _named_if_deep(expression):
        return _checked(expression)


@contextmanager
def _named_if_deep(sql: str) -> Iterator[None]:
    try:
        yield
    except RecursionError:
        shown = shortened(sql, SHOWN)
        raise DataError(f"{shown!r} is nested too deeply; compute parts of it in columns of their own") from None


def _checked(expression: str) -> Node:
    tree = _parsed(f"select ({expression}\n)", expression)
    if len(tree["statements"]) != 1 or _frame(tree) != _frame(_parsed("select (null\n)")):
        raise DataError(f"{expression!r} is not one SQL expression; correct the declaration")
    if _item(tree).get("function_name") == "row":  # which is what DuckDB makes of (), of (a,) and of (a, b)
        raise DataError(f"{expression!r} is not one SQL expression; correct the declaration")
    faults = [*_faults(_item(tree)), *_changes(_item(tree), expression, len("select ("))]
    if faults:
        raise DataError(f"{shortened(expression, SHOWN)!r} {faults[0]}")
    return tree


def _parsed(sql: str, expression: str | None = None) -> Node:
    """Return DuckDB's tree of some SQL, or raise DataError."""
    tree = _tree(sql)
    if tree.get("error"):
        what, shown = ("query", sql) if expression is None else ("SQL expression", expression)
        word = next((word for word, quoting in _quotings(sql) if not _tree(quoting).get("error")), None)
        remedy = f"if {word} names a column, write it as {quoted(word)}" if word else "correct the declaration"
        raise DataError(f"{shortened(shown, SHOWN)!r} is no {what}: {tree.get('error_message')}; {remedy}")
    return tree


def _tree(sql: str) -> Node:
    row = _parser().execute("select json_serialize_sql(?)", [sql]).fetchone()
    tree: Node = json.loads(row[0]) if row else {}
    return tree


def _quotings(sql: str) -> Iterator[tuple[str, str]]:
    """Yield each of SQL's own words in a text, with the text in which it is a name."""
    written = dict.fromkeys(word.lower() for word in re.findall(r"\w+", sql.removeprefix("select")))
    keywords = _parser().execute("select keyword_name from duckdb_keywords()").fetchall()
    for word in sorted(written.keys() & {word for (word,) in keywords}):
        yield word, re.sub(rf"""(?i)(?<![\w'".]){word}(?![\w'"(])""", quoted(word), sql)


def _parser() -> "duckdb.DuckDBPyConnection":
    """Return a DuckDB that only reads SQL, of this process and thread alone."""
    return _database(os.getpid()).cursor()


@cache
def _database(process: int) -> "duckdb.DuckDBPyConnection":
    import duckdb

    atexit.register(_database.cache_clear)  # before the interpreter takes DuckDB's module apart
    return duckdb.connect(config={"threads": 1})


def _text(tree: Node) -> str:
    row = _parser().execute("select json_deserialize_sql(?::json)", [json.dumps(tree)]).fetchone()
    assert row is not None
    return str(row[0])


def _item(tree: Node) -> Node:
    item: Node = tree["statements"][0]["node"]["select_list"][0]
    return item


def _frame(tree: Node) -> Node:
    """Return all of a query but what it selects and where it says so."""
    node = tree["statements"][0]["node"]
    rest = {name: value for name, value in node.items() if name not in ("select_list", "from_table")}
    table = node.get("from_table") or {}
    return {**rest, "from": table.get("type"), "items": len(node.get("select_list", []))}


@dataclass(frozen=True)
class _Function:
    """A function as DuckDB's catalogue has it, all of its kinds together."""

    kinds: frozenset[str]
    is_stable: bool
    types: frozenset[str]
    macros: tuple[str, ...]

    @property
    def may_be_float(self) -> bool:
        """True where what it returns may be a number that does not exist."""
        return bool(self.macros) or any(name in (*_FLOATS, *_ANYTHING) for name in self.types)

    def is_clock(self, arguments: int) -> bool:
        """Return whether it makes a time of nothing: the catalogue calls some such functions constant."""
        return arguments == 0 and any(name.startswith(_TIMES) for name in self.types)


@cache
def _functions() -> Mapping[str, _Function]:
    query = """
        select function_name, list(distinct function_type), bool_and(coalesce(stability, 'CONSISTENT') = 'CONSISTENT'
        and not coalesce(has_side_effects, false)), list(distinct return_type) filter (return_type is not null),
        list(distinct macro_definition) filter (macro_definition is not null)
        from duckdb_functions() where function_type <> 'pragma' group by function_name
    """
    return {
        name: _Function(frozenset(kinds), stable, frozenset(types or ()), tuple(sorted(macros or ())))
        for name, kinds, stable, types, macros in _parser().execute(query).fetchall()
    }


@cache
def _is_time_of_day(name: str) -> bool:
    """Return whether a name that is no column's is one of SQL's words for the present, such as current_date."""
    import duckdb

    try:
        (kind,) = _parser().sql(f"select {quoted(name)}").types
    except duckdb.Error:
        return False
    return str(kind).startswith(_TIMES)


def _faults(node: Any) -> Iterator[str]:
    """Yield what an expression looks at beside its row, with the remedy."""
    if isinstance(node, list):
        for child in node:
            yield from _faults(child)
    elif isinstance(node, dict):
        kind = node.get("class")
        if kind == "FUNCTION":
            yield from _of_many_rows(str(node["function_name"]).lower())
        elif kind == "COLUMN_REF" and len(node["column_names"]) > 1 and node["column_names"][0].lower() == "source":
            yield f"names the table of {'.'.join(node['column_names'])}; write the column's name alone"
        elif (kind is not None and kind not in _IN_A_ROW) or node.get("type") == "GROUPING_FUNCTION":
            yield _looks_at_others(_OF_MANY_ROWS.get(str(kind), str(kind).lower()))
        for child in node.values():
            yield from _faults(child)


def _looks_at_others(what: str) -> str:
    return (
        f"has {what}, but an expression sees its own row alone: aggregate past rows with features.history, those of "
        "related tables with features.synthesis, or make the column in the source, as of its row's time"
    )


def _of_many_rows(name: str) -> Iterator[str]:
    function = _functions().get(name)
    if function is None:
        yield f"calls {name}(), which is no function of DuckDB; correct the declaration"
    elif {"aggregate", "window"} & function.kinds or not {"scalar", "macro"} & function.kinds:
        yield _looks_at_others(f"{name}(), which is of many rows")
    else:
        for macro in function.macros:
            yield from _faults(_item(_parsed(f"select ({macro})")))


def _changes(node: Any, sql: str, start: int, within: frozenset[str] = frozenset()) -> Iterator[str]:
    """Yield what in some SQL differs from run to run; the SQL begins at a place of the text that was parsed.

    It may be that `within` macros, of which some name themselves.
    """
    if isinstance(node, list):
        for child in node:
            yield from _changes(child, sql, start, within)
    elif isinstance(node, dict):
        if node.get("class") in ("FUNCTION", "WINDOW"):
            yield from _unstable(str(node["function_name"]).lower(), len(node.get("arguments", [])), within)
        elif node.get("class") == "COLUMN_REF" and len(node["column_names"]) == 1:
            place = max(node.get("query_location", 0) - start, 0)  # in bytes
            yield from _present(node["column_names"][0], sql.encode()[place:])
        if node.get("sample"):
            yield "takes a sample, which differs from run to run. Take rows by a condition, such as hash(key) % 10 = 0"
        for child in node.values():
            yield from _changes(child, sql, start, within)


def _unstable(name: str, arguments: int, within: frozenset[str]) -> Iterator[str]:
    function = _functions().get(name)
    if function is None or name == _STOPS or name in within:
        return
    if not function.is_stable or function.is_clock(arguments) or (name, arguments) == _TO_TODAY:
        yield (
            f"calls {name}(), whose value is not of the data: it differs from run to run. Write a constant, or make "
            "the column in the source"
        )
    for macro in function.macros:
        yield from _changes(_item(_parsed(f"select ({macro})")), macro, len("select ("), within | {name})


def _present(name: str, written: bytes) -> Iterator[str]:
    if not written.startswith(b'"') and _is_time_of_day(name.lower()):
        yield (
            f"says {name}, which differs from run to run. Write a constant, or make the column in the source; if it "
            f'names a column, write it as "{name}"'
        )


def _elsewhere(tree: Node) -> Iterator[str]:
    """Yield what a query makes rows of, if neither its tables nor its own values hold them, with the remedy."""
    for node in nodes_of(tree):
        name = str(node["function"].get("function_name")) if node.get("type") == "TABLE_FUNCTION" else None
        if node.get("type") == "SHOW_REF" or (name is not None and name.lower() not in _OF_VALUES):
            what = f"calls {name}()" if name else "describes the database"
            yield (
                f"{what}, whose rows are of no declared table, so that nothing would notice if they changed. Declare a "
                f"table with that source; functions that make rows: {', '.join(sorted(_OF_VALUES))}"
            )


def query_tree(query: str) -> Node:
    """Return DuckDB's tree of a query; raises DataError if the text is none."""
    with _named_if_deep(query):
        return _parsed(query)


def nodes_of(tree: Any) -> Iterator[Node]:
    """Yield all nodes of a tree, each before those in it."""
    if isinstance(tree, dict):
        yield tree
    if isinstance(tree, dict | list):
        for child in tree.values() if isinstance(tree, dict) else tree:
            yield from nodes_of(child)


def _names(node: Any, bound: frozenset[str]) -> Iterator[str]:
    """Yield the columns of a tree, in lower case; parameters of a lambda are none."""
    if isinstance(node, list):
        for child in node:
            yield from _names(child, bound)
    elif isinstance(node, dict):
        if node.get("class") == "LAMBDA":
            bound |= set(_names(node["lhs"], frozenset()))
        if node.get("class") == "COLUMN_REF" and node["column_names"][0].lower() not in bound:
            yield str(node["column_names"][0]).lower()
        for child in node.values():
            yield from _names(child, bound)


@cache
def _template() -> Node:
    return _item(_parsed(f"select ({_UNKNOWN})"))


def _known(node: Node) -> Node:
    """Return the tree of _UNKNOWN over a node, which stands in it once: what is nested in another would double."""
    guard = copy.deepcopy(_template())
    guard["children"][0]["arguments"][0]["expression"]["arguments"][0]["expression"] = {**node, "alias": ""}
    guard["alias"] = node.get("alias", "")
    return guard


def _of_type(node: Node, kind: str) -> Node:
    """Return the tree of a column as a type; it is null where it has no such value, as 7.5 is no whole number."""
    fits = "isfinite(x)" if kind in _FLOATS else "x = trunc(x)"
    typed: Node = _put(_item(_parsed(f"select (case when {fits} then try_cast(x as {kind}) end)")), node)
    return typed


def _put(tree: Any, column: Node) -> Any:
    """Return a tree with a column in the place of x."""
    if isinstance(tree, list):
        return [_put(child, column) for child in tree]
    if not isinstance(tree, dict):
        return tree
    return column if tree.get("column_names") == ["x"] else {name: _put(child, column) for name, child in tree.items()}


class _Guard:
    """The rewriting of a tree. In a query columns are as they are, for its tables have no such numbers."""

    def __init__(self, in_query: bool, types: Mapping[str, str] | None = None) -> None:
        self.in_query, self.types = in_query, types or {}

    def of(self, node: Any, may_be_float: bool = True) -> Any:
        """Return a node rewritten; that it may be a float does not matter where it makes what stands above it one."""
        if isinstance(node, list):
            return [self.of(child, may_be_float) for child in node]
        if not isinstance(node, dict):
            return node
        kept, matters = self._kept(node), node.get("class") is None and may_be_float
        matters |= node.get("class") is not None and node.get("function_name") not in ("+", "-")
        inner = {name: child if name in kept else self.of(child, matters) for name, child in node.items()}
        if "select_list" in node and self.in_query:
            pairs = zip(node["select_list"], inner["select_list"], strict=True)
            inner["select_list"] = [self._with_name(before, after) for before, after in pairs]
        if node.get("class") == "COLUMN_REF" and (kind := self.types.get(node["column_names"][0].lower())):
            return _of_type(inner, kind)
        return _known(inner) if may_be_float and self._may_be_float(node) else inner

    def _kept(self, node: Node) -> tuple[str, ...]:
        """Return the parts of a node that stay as they are."""
        if node.get("type") == "TABLE_FUNCTION":
            return ("function",)
        if node.get("type") in ("LIMIT_MODIFIER", "LIMIT_PERCENT_MODIFIER"):
            return tuple(node)
        kept = {"STAR": ("expr",), "LAMBDA": ("lhs",), "CAST": ("cast_type",)}
        return kept.get(str(node.get("class")), ("aggregates", "pivots"))

    def _may_be_float(self, node: Node) -> bool:
        match node.get("class"):
            case "COLUMN_REF":
                return not self.in_query
            case "CAST":
                return True
            case "CONSTANT":
                return node.get("literal", {}).get("kind") == "NUMERIC" and math.isinf(float(node["literal"]["text"]))
            case "OPERATOR":
                return node.get("type") in ("ARRAY_EXTRACT", "STRUCT_EXTRACT", "OPERATOR_TRY")
            case "FUNCTION" | "WINDOW":
                return self._function_may_be_float(node)
        return False

    def _function_may_be_float(self, node: Node) -> bool:
        function, arguments = _functions().get(str(node["function_name"]).lower()), node.get("arguments", [])
        if (
            len(arguments) == 1
            and arguments[0].get("expression", {}).get("class") == "CONSTANT"
            and node.get("is_operator")
        ):
            return False  # a negative number
        if function is None or not {"scalar", "macro", "aggregate", "window"} & function.kinds:
            return False
        return function.may_be_float

    def _with_name(self, before: Node, after: Node) -> Node:
        """Return a selected expression under the name that DuckDB gives what it was before."""
        if after == before or after.get("alias") or before.get("class") in ("STAR", "COLUMN_REF"):
            return after
        frame = copy.deepcopy(_parsed("select (null)"))
        frame["statements"][0]["node"]["select_list"] = [before]
        return {**after, "alias": _text(frame).removeprefix("SELECT ")}
