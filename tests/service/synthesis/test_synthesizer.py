from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from service.http.app import Application
from service.http.served import Served
from service.plan.document import BundleError
from service.plan.reading import read_plan
from service.predict.features import FeatureBuilder, Inputs
from service.records.reader import InvalidRecords, RecordReader
from service.synthesis import synthesizer as synthesis
from tests.support.synthesized import (
    CATEGORICAL,
    ITEMS,
    NO_CITY,
    NUMERIC,
    ORDERS,
    PLAN,
    QUERY,
    RECORDS,
    SYNTHESIS_PLAN,
    Row,
    item,
    order,
    plan_with,
    record,
    reference,
    shop,
    synthesizer,
    values_of,
    write_tables,
)

nan = math.nan


def unique(rows: st.SearchStrategy[Row], key: str) -> st.SearchStrategy[list[Row]]:
    return st.lists(rows, max_size=8, unique_by=lambda row: str(row[key]))


def test_a_record_is_answered_from_the_rows_before_its_cutoff() -> None:
    orders = [order(1, amount=2.5), order(2, seconds=9.999999, channel="shop"), order(3, seconds=10), order(4, 2)]
    items = [item("a", 1), item("b", 1, seconds=11), item("c", 2), item("d", 4)]

    values, warnings = values_of(shop(orders=orders, items=items), [record(age=41, city="Łódź's", loyal=1.0)])

    assert values == [[2.0, 5.0, 2.0, 9_007_199_254_740_992.0, 42.0, 1.0, "shop"]]
    assert warnings == [[]]


def test_records_of_which_a_feature_cannot_be_computed_are_named() -> None:
    failing = synthesizer(
        plan_with(query=QUERY.replace("l.age + 1 as", "cast(cast(l.age as tinyint) as double) + 1 as"))
    )
    records = [record(age=age) for age in (1, 1000, None, 2, -1000)]

    with pytest.raises(InvalidRecords) as raised:
        values_of(shop(), records, failing)

    assert [problem.record for problem in raised.value.problems] == [1, 4]
    assert "value 1000.0 can't be cast" in raised.value.problems[0].error
    values, warnings = values_of(shop(), [records[0], records[3]], failing)
    assert [row[4] for row in values] == [2.0, 3.0]
    assert len(warnings[0]) == len(values_of(shop(), [records[0]])[1][0])


def test_what_is_missing_is_nan_or_empty_and_what_was_expected_is_warned_of() -> None:
    records = [record(None), record(7, city="Atlantis"), record(1, 0.5, city="Köln")]

    values, warnings = values_of(shop(orders=[order(1, channel=None)]), records)

    nothing = [0.0, 0.0, nan, nan, nan, nan, ""]
    np.testing.assert_equal(values, [nothing, nothing, nothing])
    nobody, unknown = "orders: no row, for customer_id names none", "orders: no row for customer_id 7"
    assert warnings == [[nobody, NO_CITY], [unknown, "cities: no row for city 'Atlantis'"], []]


@pytest.mark.parametrize("customer", [1.5, 2**63, -1e30])
def test_a_number_that_is_no_integer_of_64_bits_is_missing_and_never_rounded(customer: float) -> None:
    values, warnings = values_of(shop(orders=[order(1), order(2, 2)]), [record(customer)])

    assert values[0][0] == 0.0
    assert warnings == [["orders: no row, for customer_id names none", NO_CITY]]


def test_a_whole_number_is_itself_however_it_was_written() -> None:
    assert values_of(shop(orders=[order(1)]), [record(1.0)])[0][0][0] == 1.0


def test_texts_and_numbers_come_through_whole() -> None:
    odd = "'; drop table orders; -- \\ \" ü 😀\n\t\0"
    orders = [order(1, 1, 1, 5e-324, channel=odd), order(-(2**63), 2**63 - 1, 1, 0.1 + 0.2, channel=odd)]

    values, _ = values_of(shop(orders=orders), [record(1), record(2**63 - 1)])

    assert [row[-1] for row in values] == [odd, odd]
    assert values[1][1] == np.float32(0.1 + 0.2)


@pytest.mark.parametrize("amount", [1e300, math.inf, -math.inf])
def test_what_float32_cannot_hold_is_missing(amount: float) -> None:
    assert math.isnan(values_of(shop(orders=[order(1, amount=amount)]), [record()])[0][0][1])


def test_nan_in_a_file_is_a_missing_number() -> None:
    assert values_of(shop(orders=[order(1, amount=nan), order(2, amount=1.0)]), [record()])[0][0][1] == 1.0


@settings(max_examples=60, deadline=None)
@given(unique(ORDERS, "order_id"), unique(ITEMS, "item_id"), st.lists(RECORDS, min_size=1, max_size=5))
def test_the_features_are_those_of_loops_over_all_rows(orders: list[Row], items: list[Row], records: list[Any]) -> None:
    values, _ = values_of(shop(orders=orders, items=items), records)

    np.testing.assert_equal(values, [reference(orders, items, record) for record in records])


@settings(max_examples=30, deadline=None)
@given(unique(ORDERS, "order_id"), unique(ITEMS, "item_id"), st.lists(RECORDS, min_size=1, max_size=5))
def test_a_batch_is_its_records_one_by_one(orders: list[Row], items: list[Row], records: list[Any]) -> None:
    histories = shop(orders=orders, items=items)

    together, warnings = values_of(histories, records)

    alone = [values_of(histories, [record]) for record in records]
    np.testing.assert_equal(together, [values[0] for values, _ in alone])
    assert warnings == [texts[0] for _, texts in alone]


def test_a_large_batch_is_answered_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    histories, records = shop(orders=[order(number, number % 7) for number in range(30)]), [record(i) for i in range(9)]
    whole = values_of(histories, records)

    monkeypatch.setattr(synthesis, "RECORDS_AT_ONCE", 4)

    np.testing.assert_equal(values_of(histories, records), whole)


def test_without_links_the_query_sees_whole_tables() -> None:
    orders, items = [order(1), order(2, 2), order(3, None)], [item("a", 1), item("b", 2), item("c", None)]
    plan, records = plan_with(links=[]), [record(1), record(2), record(3)]

    values, warnings = values_of(shop(plan, orders=orders, items=items), records, synthesizer(plan))

    np.testing.assert_equal(values, values_of(shop(orders=orders, items=items), records)[0])
    assert warnings == [[], [], []]


def test_a_table_may_be_reached_on_several_ways() -> None:
    """From a customer to the orders, from these to their items, and from the items' order to all items once more."""
    query = """
        select l."row", cast(count(distinct o.order_id) as double) as orders, cast(count(distinct i.item_id) as double)
        as items from __labels l left join orders o on o.customer_id = l.instance left join items i using (order_id)
        group by all"""
    links = [
        {"table": "orders", "column": "customer_id", "value": "instance"},
        {"table": "items", "column": "order_id", "value": "order_id", "parent": 0},
        {"table": "orders", "column": "order_id", "value": "order_id", "parent": 1},
        {"table": "items", "column": "order_id", "value": "order_id", "parent": 2},
    ]
    plan = plan_with(query=query, links=links)
    assert plan.synthesis is not None
    histories = shop(plan, orders=[order(1), order(2), order(3, 2)], items=[item("a", 1), item("b", 3), item("c", 1)])

    by = synthesis.Synthesizer(plan.synthesis, ["orders", "items"], [])

    assert values_of(histories, [record(1), record(2)], by)[0] == [[2.0, 2.0], [1.0, 1.0]]


def test_an_instance_that_records_do_not_name_is_missing() -> None:
    plan = plan_with(instance={"column": "account", "type": "VARCHAR"}, links=[], query="""
        select "row", 1.0::double as one, instance as "none" from __labels order by "row" """)  # fmt: skip
    assert plan.synthesis is not None

    values, _ = values_of(shop(plan), [record(1)], synthesis.Synthesizer(plan.synthesis, ["one"], ["none"]))

    assert values == [[1.0, ""]]


def test_a_query_over_the_record_alone_needs_no_cutoff() -> None:
    plan = {**SYNTHESIS_PLAN, "cutoff": None, "required": [], "events": {}}
    plan["features"] = [{"name": "twice", "kind": "synthesis", "type": "numeric"}]
    plan["synthesis"] = {
        **plan["synthesis"],
        "tables": {},
        "links": [],
        "query": 'select "row", age * 2 as twice from __labels',
    }
    read = read_plan(json.dumps(plan).encode())

    builder = FeatureBuilder(read, Inputs(["twice"], []), Path("nowhere"))

    assert builder.build(RecordReader(read).read([{"age": 4}, {"age": 0.5}])).numeric.tolist() == [[8.0], [1.0]]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("selec 1", "the query of the synthesis fails: Parser Error"),
        (QUERY.replace("o.amount", "o.price"), "the query of the synthesis fails: Binder Error"),
        (QUERY.replace('"age + 1"', "age"), "age + 1"),
        (QUERY.replace("l.age + 1", "cast(l.age as integer)"), "yields 'age + 1' as INTEGER, not DOUBLE"),
        (QUERY.replace("o.channel as", "o.orders as"), "yields 'LAST(orders.channel)' as BIGINT, not VARCHAR"),
        ("select * from read_csv('/etc/passwd')", "the query of the synthesis fails: Permission Error"),
    ],
)
def test_a_query_that_does_not_return_the_features_is_refused(query: str, message: str) -> None:
    with pytest.raises(BundleError) as raised:
        synthesizer(plan_with(query=query))

    assert message in str(raised.value)


def test_a_query_that_loses_records_fails_rather_than_answers_others() -> None:
    lossy = synthesizer(plan_with(query=f'select * from ({QUERY}) where "row" > 0'))

    with pytest.raises(ArithmeticError, match="made 1 rows of 2"):
        values_of(shop(), [record(1), record(2)], lossy)


def test_synthesized_features_stand_where_the_model_wants_them(tmp_path: Path) -> None:
    write_tables(tmp_path, orders=[order(1)])
    builder = FeatureBuilder(PLAN, Inputs(["cities.people", "COUNT(orders)"], CATEGORICAL), tmp_path)
    records = RecordReader(PLAN).read([{"when": "1970-01-01T00:00:10", "customer_id": 1}, {"when": "1970-01-01"}])

    matrices = builder.build(records)

    np.testing.assert_array_equal(matrices.numeric, np.array([[nan, 1.0], [nan, 0.0]], np.float32))
    assert matrices.categorical.tolist() == [["web"], [""]]


def test_tables_that_the_model_does_not_use_are_not_loaded(tmp_path: Path) -> None:
    builder = FeatureBuilder(PLAN, Inputs([], []), tmp_path)

    assert builder.histories.state.tables == {}


@pytest.mark.parametrize(
    ("numeric", "categorical", "message"),
    [
        (CATEGORICAL, [], "is a text, and feeds a numeric input"),
        ([], NUMERIC[:1], "is a number, and feeds a categorical"),
    ],
)
def test_the_type_of_a_feature_tells_which_input_it_may_feed(
    tmp_path: Path, numeric: list[str], categorical: list[str], message: str
) -> None:
    with pytest.raises(BundleError, match=message):
        FeatureBuilder(PLAN, Inputs(numeric, categorical), tmp_path)


def test_a_bundle_with_synthesized_features_is_served(write_bundle: Any) -> None:
    plan = {**SYNTHESIS_PLAN, "record": {**SYNTHESIS_PLAN["record"], "carrier": "text"}}
    plan["features"] = [*plan["features"], {"name": "carrier", "kind": "column", "column": "carrier"}]
    folder = write_bundle(plan, numeric=NUMERIC[:2], categorical=["carrier"], weights=[1.0, 2.0])
    write_tables(folder, orders=[order(1, amount=0.5)])
    (folder / "golden.json").write_text(json.dumps({"records": [], "scores": []}))
    served = Served()
    served.load(folder)

    with TestClient(Application(served)) as client:
        body = {"when": "1970-01-01T00:00:10", "customer_id": 1}
        before = client.post("/predict", json=body).json()
        more = {"order_id": 2, "customer_id": 1, "ordered_at": "1970-01-01T00:00:05", "amount": 1.5}
        accepted = client.post("/events", json={"table": "orders", "rows": [more]}).json()
        after = client.post("/predict", json={"records": [body] * 2}).json()

    assert accepted == {"accepted": 1, "replaced": 0}
    assert before["score"] == pytest.approx(1 / (1 + math.exp(-2.0)))
    assert after["scores"] == pytest.approx([1 / (1 + math.exp(-6.0))] * 2)
