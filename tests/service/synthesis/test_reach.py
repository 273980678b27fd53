from __future__ import annotations

from typing import Any

from service.plan.parts import Synthesis
from service.synthesis.labels import Labels
from service.synthesis.reach import Reach
from tests.support.synthesized import NO_CITY, PLAN, item, order, plan_with, record, shop


def reach(synthesis: Synthesis | None, tables: Any, *records: Any) -> tuple[dict[str, Any], list[list[str]]]:
    assert synthesis is not None
    warnings: list[list[str]] = [[] for _ in records]
    rows = Reach(synthesis).rows(Labels(synthesis).of(records), tables, warnings)
    return rows, warnings


def test_links_are_followed_from_the_records_to_the_rows_of_their_rows() -> None:
    state = shop(orders=[order(1), order(2, 2), order(3)], items=[item("a", 3), item("b", 2), item("c", 1)]).state

    rows, warnings = reach(PLAN.synthesis, state.tables, record(1))

    assert sorted(rows["orders"]["order_id"]) == [1, 3]
    assert sorted(rows["items"]["item_id"]) == ["a", "c"]
    assert rows["cities"]["city"] == []
    assert warnings == [[NO_CITY]]


def test_a_record_that_reaches_nothing_is_warned_of_alone() -> None:
    _, warnings = reach(PLAN.synthesis, shop(orders=[order(1)]).state.tables, record(1), record(7), record(7.0))

    assert warnings == [[NO_CITY], *[["orders: no row for customer_id 7", NO_CITY]] * 2]


def test_a_record_that_does_not_say_whose_rows_are_meant_is_warned_of() -> None:
    _, warnings = reach(PLAN.synthesis, shop(orders=[order(1)]).state.tables, record(None), record(1))

    assert warnings == [["orders: no row, for customer_id names none", NO_CITY], [NO_CITY]]


def test_rows_that_are_reached_twice_are_there_once() -> None:
    links = [{"table": "orders", "column": "customer_id", "value": "instance"}] * 2
    plan = plan_with(links=links)

    rows, _ = reach(plan.synthesis, shop(plan, orders=[order(1), order(2)]).state.tables, record(1), record(1))

    assert rows["orders"]["order_id"] == [1, 2]


def test_the_columns_that_find_rows_are_those_of_the_links() -> None:
    assert PLAN.synthesis is not None

    assert [Reach(PLAN.synthesis).columns(name) for name in ("orders", "items", "cities")] == [
        {"customer_id"},
        {"order_id"},
        {"city"},
    ]
