from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from service.plan.document import BundleError
from service.plan.reading import read_plan
from tests.support.synthesized import SYNTHESIS_PLAN


def refusal(plan: dict[str, Any]) -> str:
    with pytest.raises(BundleError) as raised:
        read_plan(json.dumps(plan).encode())
    return str(raised.value)


def test_a_synthesis_is_read_whole() -> None:
    synthesis = read_plan(json.dumps(SYNTHESIS_PLAN).encode()).synthesis

    assert synthesis is not None
    assert (synthesis.instance.type, list(synthesis.tables)) == ("BIGINT", ["orders", "items", "cities"])
    assert [link.parent for link in synthesis.links] == [None, 0, None]


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("synthesis",), None, "feature 'COUNT(orders)': the plan has no synthesis"),
        (("cutoff",), None, "the tables ['cities', 'items', 'orders'] need a cutoff"),
        (("features", 0, "type"), "text", "text"),
        (("synthesis", "threads"), 2, "threads"),
        (("synthesis", "instance", "type"), "INTEGER", "INTEGER"),
        (("synthesis", "instance", "type"), "VARCHAR", "'customer_id' is a number, which is no VARCHAR but ['BIGINT'"),
        (("synthesis", "labels", "age", "column"), "years", "label 'age': the record has no column 'years'"),
        (("synthesis", "labels", "loyal", "type"), "DOUBLE", "column 'loyal' is a flag, which is no DOUBLE"),
        (("synthesis", "labels", "Row"), {"column": "age", "type": "DOUBLE"}, "has another column of this name"),
        (("synthesis", "tables", "__labels"), {"file": "x", "columns": {}}, "a table cannot be called '__labels'"),
        (("synthesis", "tables", "items", "file"), "cities.rows.parquet", "2 tables have the file"),
        (("synthesis", "tables", "items", "key"), "id", "the key 'id' is none of its columns"),
        (("synthesis", "tables", "items", "key"), "added_at", "the key 'added_at' is a TIMESTAMP, not one of"),
        (("synthesis", "tables", "items", "columns", "added_at"), "DATE", "DATE"),
        (("synthesis", "links", 0, "table"), "carts", "link 0, to 'carts': there is no such table"),
        (("synthesis", "links", 0, "column"), "buyer", "link 0, to 'orders': it has no column 'buyer'"),
        (("synthesis", "links", 0, "value"), "income", "its parent has no 'income', only ['age', 'city', 'instance'"),
        (("synthesis", "links", 1, "value"), "total", "its parent has no 'total', only ['amount', 'channel'"),
        (
            ("synthesis", "links", 1, "value"),
            "channel",
            "is a BIGINT, and 'channel' of its parent a VARCHAR",
        ),
        (("synthesis", "links", 1, "parent"), 1, "its parent 1 is no earlier link"),
        (("synthesis", "links", 1, "parent"), -1, "its parent -1 is no earlier link"),
        (("events", "orders", "views", 0, "file"), "cities.rows.parquet", "are files of no lookup and of no"),
        (("events", "orders", "key"), "channel", "['orders.rows.parquet'] are files of no lookup and of no"),
    ],
)
def test_a_synthesis_that_contradicts_itself_is_refused(path: tuple[Any, ...], value: Any, message: str) -> None:
    plan = copy.deepcopy(SYNTHESIS_PLAN)
    target: Any = plan
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value

    assert message in refusal(plan)


def test_all_contradictions_of_a_synthesis_are_reported_together() -> None:
    plan = copy.deepcopy(SYNTHESIS_PLAN)
    plan["synthesis"]["labels"]["age"]["column"] = "years"
    plan["synthesis"]["links"][2]["table"] = "towns"
    plan["events"]["items"]["key"] = "order_id"

    message = refusal(plan)

    assert all(part in message for part in ["'years'", "'towns'", "items.rows.parquet"])


def test_a_number_may_find_an_integer_and_an_integer_a_number() -> None:
    plan = copy.deepcopy(SYNTHESIS_PLAN)
    plan["synthesis"]["instance"]["type"] = "DOUBLE"

    assert read_plan(json.dumps(plan).encode()).synthesis is not None
