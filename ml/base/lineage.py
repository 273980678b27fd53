"""Lineage: the columns of a table by whose values a query makes one of its own."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from ml.base.expressions import Node, nodes_of, query_tree

_OF_OTHER_ROWS = ("partitions", "orders", "order_bys", "arg_orders")  # they say which rows, not what of them


def columns_behind(query: str, name: str, table: str) -> set[str]:
    """Return the columns of a table, in lower case, of whose values a query makes its column of this name.

    Common table expressions and subqueries are followed by the names of their columns. What only chooses rows, such as
    a condition or a partition, is left out. A name without its table counts unless the tables beside it are all others.
    Raises DataError if the text is no query.
    """
    return set(_columns_behind(query, name.lower(), table.lower()))


@cache
def _columns_behind(query: str, name: str, table: str) -> frozenset[str]:
    nodes = list(nodes_of(query_tree(query)))
    own = {entry["key"].lower() for node in nodes for entry in node.get("cte_map", {}).get("map", [])}
    bases = [node for node in nodes if node.get("type") == "BASE_TABLE" and node["table_name"].lower() not in own]
    tables = {(node["alias"] or node["table_name"]).lower(): node["table_name"].lower() for node in bases}
    made_of: dict[str, set[str]] = {}  # what each column of the query is made of, of the table or of the query itself
    of_table: dict[str, set[str]] = {}  # of that, what is the table's, whatever else the query makes
    selecting = [node for node in nodes if node.get("select_list")]
    for node in selecting:
        selection = _Selection.of(node, table, own)
        others = {column for other in selecting if other is not node for column, _ in _items(other)}
        for made, item in _items(node):
            parts, sure = made_of.setdefault(made, set()), of_table.setdefault(made, set())
            alone = selection.alone or any("select_list" in inner for inner in nodes_of(item))
            for qualifier, column in _references(item):
                if tables.get(qualifier, table) == table if qualifier else not selection.elsewhere:
                    parts.add(column)
                    if column not in others or (tables.get(qualifier) == table if qualifier else alone):
                        sure.add(column)
    found: set[str] = set()
    rest = {name}
    while rest:
        wanted = rest.pop()
        found.add(wanted)
        rest |= made_of.get(wanted, set()) - found
    taken = set[str]().union(*(of_table.get(column, set()) for column in found))
    return frozenset(column for column in found if column in taken or column not in made_of)


@dataclass(frozen=True)
class _Selection:
    """The rows that a selection is made of: all `elsewhere`, of other tables, or of the table `alone`, or it may be."""

    elsewhere: bool
    alone: bool

    @classmethod
    def of(cls, node: Node, table: str, own: Collection[str]) -> _Selection:
        """Return it of a node of a query that has tables of its `own`."""
        sources = list(_sources(node.get("from_table")))
        mixed = any(source is None or source in own for source in sources)
        return cls(bool(sources) and not mixed and table not in sources, table in sources and not mixed)


def _items(node: Node) -> Iterator[tuple[str, Node]]:
    """Yield the columns that a selection names, each with its expression, those that it replaces or renames too."""
    for item in node["select_list"]:
        yield _name(item), item
        for entry in item.get("replace_list") or []:
            yield entry["key"].lower(), entry["value"]
        for entry in item.get("rename_list") or []:
            yield entry["value"].lower(), {"class": "COLUMN_REF", "column_names": [entry["key"]["column"]]}


def _name(item: Node) -> str:
    if item.get("alias") or item.get("class") != "COLUMN_REF":
        return str(item.get("alias", "")).lower()
    return str(item["column_names"][-1]).lower()


def _sources(source: Any) -> Iterator[str | None]:
    """Yield the tables that are joined, None for what is no table by its name."""
    if not isinstance(source, Mapping):
        return
    if source.get("type") == "JOIN":
        yield from _sources(source["left"])
        yield from _sources(source["right"])
    else:
        yield source["table_name"].lower() if source.get("type") == "BASE_TABLE" else None


def _references(node: Any) -> Iterator[tuple[str, str]]:
    """Yield the columns of whose values an expression is made, each with the table named with it, or nothing."""
    if isinstance(node, list):
        for child in node:
            yield from _references(child)
    elif isinstance(node, Mapping):
        if node.get("class") == "COLUMN_REF":
            *tables, column = (part.lower() for part in node["column_names"])
            yield (tables[-1] if tables else ""), column
        elif "select_list" in node:
            yield from _references(node["select_list"])
        else:
            for name, child in node.items():
                if name not in _OF_OTHER_ROWS:
                    yield from _references(child)
