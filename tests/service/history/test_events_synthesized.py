from __future__ import annotations

from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.history.events import Accepted, Events
from service.history.log import EventLog
from service.history.state import Histories
from service.plan.document import BundleError
from service.plan.reading import read_plan
from service.predict.features import FeatureBuilder, Inputs
from service.records.reader import InvalidRecords, RecordReader
from tests.support.synthesized import (
    ITEMS,
    NO_CITY,
    ORDERS,
    ORDERS_QUERY,
    PLAN,
    RECORDS,
    Row,
    item,
    order,
    plan_with,
    record,
    reference,
    sent,
    shop,
    values_of,
)

Request = tuple[str, list[Row]]
KEYS = {"orders": "order_id", "items": "item_id"}
LEFT_OUT = ORDERS.map(lambda row: {**row, "ordered_at": None})
REQUESTS = st.lists(
    st.tuples(st.just("orders"), st.lists(ORDERS | ORDERS | LEFT_OUT, min_size=1, max_size=4))
    | st.tuples(st.just("items"), st.lists(ITEMS, min_size=1, max_size=4)),
    max_size=5,
)


def unique(rows: st.SearchStrategy[Row], key: str) -> st.SearchStrategy[list[Row]]:
    return st.lists(rows, max_size=6, unique_by=lambda row: str(row[key]))


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(unique(ORDERS, "order_id"), unique(ITEMS, "item_id"), REQUESTS, st.lists(RECORDS, min_size=1, max_size=3))
def test_events_in_any_order_make_the_tables_that_they_leave(
    orders: list[Row], items: list[Row], requests: list[Request], records: list[Any]
) -> None:
    histories = shop(orders=orders, items=items)
    events = Events(PLAN, histories)
    final = {"orders": {row["order_id"]: row for row in orders}, "items": {row["item_id"]: row for row in items}}

    for table, rows in requests:
        there = {key for key, row in final[table].items() if row.get("ordered_at", "") is not None}
        accepted = events.accept(table, [sent(row) for row in rows])
        keys = [row[KEYS[table]] for row in rows]
        assert accepted == Accepted(len(keys), len(keys) - len(set(keys)) + len(there & set(keys)))
        final[table] |= dict(zip(keys, rows, strict=True))

    left = [row for row in final["orders"].values() if row["ordered_at"] is not None]
    values, warnings = values_of(histories, records)
    np.testing.assert_equal(values, [reference(left, final["items"].values(), record) for record in records])
    fresh = shop(orders=left, items=list(final["items"].values()))
    np.testing.assert_equal((values, warnings), values_of(fresh, records))


def test_a_row_sent_again_may_belong_to_another_customer() -> None:
    histories = shop(orders=[order(1), order(2)])
    events = Events(PLAN, histories)

    moved = events.accept("orders", [sent(order(1, 2))])
    again = events.accept("orders", [sent(order(1, 3)), sent(order(9, 3))])

    assert (moved, again) == (Accepted(1, 1), Accepted(2, 1))
    values, warnings = values_of(histories, [record(1), record(2), record(3)])
    assert [row[0] for row in values] == [1.0, 0.0, 2.0]
    assert warnings == [[NO_CITY], ["orders: no row for customer_id 2", NO_CITY], [NO_CITY]]


def test_a_row_that_the_query_leaves_out_takes_the_earlier_one_away() -> None:
    histories = shop(orders=[order(1)])
    events = Events(PLAN, histories)
    for row in [order(1, ordered_at=None), order(2), order(2, ordered_at=None), order(3, ordered_at=None)]:
        events.accept("orders", [sent(row)])

    assert values_of(histories, [record()])[0][0][0] == 0.0
    assert events.accept("orders", [sent(order(1)), sent(order(2))]) == Accepted(2, 0)
    assert values_of(histories, [record()])[0][0][0] == 2.0


def test_a_bad_row_is_named_and_nothing_of_its_request_counts() -> None:
    histories = shop(orders=[order(1)])
    events, state = Events(PLAN, histories), histories.state

    with pytest.raises(InvalidRecords) as raised:
        events.accept("orders", [sent(order(2)), sent(order(3, 1e30))])

    assert [(problem.record, problem.field) for problem in raised.value.problems] == [(1, "customer_id")]
    assert histories.state is state


def test_events_that_the_model_uses_no_table_of_are_checked_and_change_nothing() -> None:
    histories = Histories(PLAN, [], Path("nowhere"))

    assert Events(PLAN, histories).accept("orders", [sent(order(1))]) == Accepted(1, 0)
    assert histories.state.tables == {}


@pytest.fixture
def of_both_kinds(plan: dict[str, Any], write_bundle: Any) -> FeatureBuilder:
    """Build a window over flights, and a synthesized feature over the same flights and over those that were late."""
    query = """
        select "row", cast((select count(*) from flights where origin = l.origin and departed_at < l.cutoff) as double)
        as flown, cast((select count(*) from late where origin = l.origin and departed_at < l.cutoff) as double) as late
        from __labels l"""
    columns = {"id": "VARCHAR", "origin": "VARCHAR", "departed_at": "TIMESTAMP"}
    plan["synthesis"] = {
        "query": query,
        "instance": {"column": "id", "type": "VARCHAR"},
        "labels": {"origin": {"column": "origin", "type": "VARCHAR"}},
        "tables": {name: {"file": f"{name}.rows", "key": "id", "columns": columns} for name in ["flights", "late"]},
        "links": [{"table": name, "column": "origin", "value": "origin"} for name in ["flights", "late"]],
    }
    plan["features"] += [{"name": name, "kind": "synthesis", "type": "numeric"} for name in ["flown", "late"]]
    selected = "select id, origin, departed_at from event"
    plan["events"]["flights"]["views"] += [
        {"file": "flights.rows", "query": selected},
        {"file": "late.rows", "query": f"{selected} where delay > 30"},
    ]
    folder = write_bundle(plan)
    nothing = pa.schema(
        [("id", pa.string()), ("origin", pa.string()), ("departed_at", pa.timestamp("us"))]
    ).empty_table()
    for name in ["flights", "late"]:
        pq.write_table(nothing, folder / f"{name}.rows")
    numeric = ["origin.COUNT(flights)", "flown", "late"]
    return FeatureBuilder(read_plan((folder / "plan.json").read_bytes()), Inputs(numeric, []), folder)


def test_one_row_that_is_sent_may_stand_in_several_tables_and_windows(of_both_kinds: FeatureBuilder) -> None:
    events = Events(of_both_kinds.plan, of_both_kinds.histories)
    flights = [flight("a", delay=40), flight("b", delay=5), flight("b", delay=50), flight("a", delay=10)]

    seen = []
    for row in flights:
        events.accept("flights", [row])
        seen.append(of_both_kinds.build(lga(of_both_kinds)).numeric[0].tolist())

    assert seen == [[1.0, 1.0, 1.0], [2.0, 2.0, 1.0], [2.0, 2.0, 2.0], [2.0, 2.0, 1.0]]


def test_a_row_that_one_view_refuses_counts_in_none(of_both_kinds: FeatureBuilder) -> None:
    events = Events(of_both_kinds.plan, of_both_kinds.histories)

    with pytest.raises(InvalidRecords):
        events.accept("flights", [flight("a", delay=1e30)])

    assert of_both_kinds.build(lga(of_both_kinds)).numeric[0].tolist() == [0.0, 0.0, 0.0]


def test_windows_and_tables_change_together(of_both_kinds: FeatureBuilder) -> None:
    events, done, seen = Events(of_both_kinds.plan, of_both_kinds.histories), Event(), set()
    records = lga(of_both_kinds)

    def predict() -> None:
        while not done.is_set():
            seen.add(tuple(of_both_kinds.build(records).numeric[0].tolist()))

    thread = Thread(target=predict)
    thread.start()
    for request in range(20):
        events.accept("flights", [flight(f"{request}.{row}", delay=60) for row in range(5)])
    done.set()
    thread.join()

    assert all(window == flown == late and flown % 5 == 0 for window, flown, late in seen)


def flight(name: str, delay: float) -> Row:
    return {"id": name, "origin": "LGA", "departed_at": "2014-01-02T01:00:00", "delay": delay}


def lga(builder: FeatureBuilder) -> list[Any]:
    return RecordReader(builder.plan).read([{"scheduled_departure": "2014-01-02T10:30:00", "origin": "LGA"}])


def test_accepted_rows_are_there_after_a_restart(tmp_path: Path) -> None:
    before, after = shop(orders=[order(1)]), shop(orders=[order(1)])
    events = Events(PLAN, before, EventLog(tmp_path, "shop"))
    events.accept("orders", [sent(order(2)), sent(order(1, ordered_at=None))])
    events.accept("items", [sent(item("a", 2)), sent(item("b", 2))])
    events.accept("items", [sent(item("b", 3))])

    Events(PLAN, after, EventLog(tmp_path, "shop")).replay()

    assert values_of(after, [record()])[0][0][:3] == [1.0, 2.5, 1.0]
    np.testing.assert_equal(values_of(after, [record()]), values_of(before, [record()]))


def test_a_prediction_sees_all_rows_of_a_request_or_none() -> None:
    histories, done, seen = shop(), Event(), set()
    events = Events(PLAN, histories)

    def predict() -> None:
        while not done.is_set():
            (first, second), _ = values_of(histories, [record(1), record(2)])
            seen.add((first[0], second[0]))

    threads = [Thread(target=predict) for _ in range(3)]
    for thread in threads:
        thread.start()
    for request in range(20):
        rows = [order(10 * request + number, 1 + number % 2) for number in range(10)]
        events.accept("orders", [sent(row) for row in rows])
    done.set()
    for thread in threads:
        thread.join()

    assert all(first == second and first % 5 == 0 for first, second in seen)
    assert values_of(histories, [record(1)])[0][0][0] == 100.0


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("select * from event", "yields 'customer_id' as double, not BIGINT"),
        (ORDERS_QUERY.replace(", amount", ""), r"yields no columns \['amount'\]"),
        (ORDERS_QUERY.replace("amount", "price"), r"the query for orders\.rows\.parquet fails"),
    ],
)
def test_a_query_that_does_not_make_rows_of_the_table_is_refused(query: str, message: str) -> None:
    plan = plan_with()
    plan.events["orders"].views[:] = [type(plan.events["orders"].views[0])("orders.rows.parquet", query)]

    with pytest.raises(BundleError, match=message):
        Events(plan, shop())


def test_a_query_that_renames_rows_is_refused() -> None:
    plan = plan_with()
    query = ORDERS_QUERY.replace("cast(order_id as bigint) as", "1 + cast(order_id as bigint) as")
    plan.events["orders"].views[:] = [type(plan.events["orders"].views[0])("orders.rows.parquet", query)]

    with pytest.raises(BundleError, match=r"named by the text of its key.*given are \['2'\]"):
        Events(plan, shop()).accept("orders", [sent(order(1))])
