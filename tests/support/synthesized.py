"""A plan with synthesized features over three tables, rows for them, and the same features by loops over all rows."""

from __future__ import annotations

import copy
import datetime as dt
import json
import math
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

from service.history.state import Histories
from service.plan.document import Plan
from service.plan.parts import SynthesisFeature
from service.plan.reading import read_plan
from service.records.reader import EPOCH, Record
from service.synthesis.synthesizer import Synthesizer

NUMERIC = ["COUNT(orders)", "SUM(orders.amount)", "SUM(orders.COUNT(items))", "cities.people", "age + 1", "loyal"]
CATEGORICAL = ["LAST(orders.channel)"]
QUERY = """
with seen as (
    select l."row", l.cutoff, o.order_id, o.amount, o.channel, o.ordered_at
    from __labels l join orders o on o.customer_id = l.instance and o.ordered_at < l.cutoff
), counted as (
    select s."row", s.order_id, count(i.item_id) as items
    from seen s left join items i on i.order_id = s.order_id and i.added_at < s.cutoff group by all
), ordered as (
    select "row", count(*) as orders, sum(amount) as amount, arg_max_null(channel, (ordered_at, order_id)) as channel
    from seen group by all
)
select l."row", cast(coalesce(o.orders, 0) as double) as "COUNT(orders)",
    cast(coalesce(o.amount, 0) as double) as "SUM(orders.amount)",
    cast((select sum(items) from counted c where c."row" = l."row") as double) as "SUM(orders.COUNT(items))",
    cast(c.people as double) as "cities.people", l.age + 1 as "age + 1", cast(l.loyal as double) as "loyal",
    o.channel as "LAST(orders.channel)"
from __labels l left join ordered o using ("row") left join cities c on c.city = l.city
order by l."row" -- a query may end in a comment
"""
COLUMNS: dict[str, dict[str, str]] = {
    "orders": {
        "order_id": "BIGINT",
        "customer_id": "BIGINT",
        "ordered_at": "TIMESTAMP",
        "amount": "DOUBLE",
        "channel": "VARCHAR",
    },
    "items": {"item_id": "VARCHAR", "order_id": "BIGINT", "added_at": "TIMESTAMP"},
    "cities": {"city": "VARCHAR", "people": "BIGINT"},
}
KEYS = {"orders": "order_id", "items": "item_id", "cities": None}
ARROW = {"BIGINT": pa.int64(), "DOUBLE": pa.float64(), "VARCHAR": pa.string(), "TIMESTAMP": pa.timestamp("us")}
LINKS = [
    {"table": "orders", "column": "customer_id", "value": "instance"},
    {"table": "items", "column": "order_id", "value": "order_id", "parent": 0},
    {"table": "cities", "column": "city", "value": "city"},
]
ORDERS_QUERY = (
    "select cast(order_id as bigint) as order_id, cast(customer_id as bigint) as customer_id, ordered_at, amount, "
    "channel from event where ordered_at is not null"
)
SYNTHESIS_PLAN: dict[str, Any] = {
    "use_case": "shop",
    "record": {"customer_id": "number", "when": "time", "age": "number", "city": "text", "loyal": "flag"},
    "required": ["when"],
    "cutoff": {"column": "when", "before_s": 0},
    "features": [
        *({"name": name, "kind": "synthesis", "type": "numeric"} for name in NUMERIC),
        *({"name": name, "kind": "synthesis", "type": "categorical"} for name in CATEGORICAL),
    ],
    "synthesis": {
        "query": QUERY,
        "instance": {"column": "customer_id", "type": "BIGINT"},
        "labels": {
            "age": {"column": "age", "type": "DOUBLE"},
            "city": {"column": "city", "type": "VARCHAR"},
            "loyal": {"column": "loyal", "type": "BOOLEAN"},
        },
        "tables": {
            name: {"file": f"{name}.rows.parquet", "key": KEYS[name], "columns": columns}
            for name, columns in COLUMNS.items()
        },
        "links": LINKS,
    },
    "events": {
        "orders": {
            "record": {
                "order_id": "number",
                "customer_id": "number",
                "ordered_at": "time",
                "amount": "number",
                "channel": "text",
            },
            "key": "order_id",
            "views": [{"file": "orders.rows.parquet", "query": ORDERS_QUERY}],
        },
        "items": {
            "record": {"item_id": "text", "order_id": "number", "added_at": "time"},
            "key": "item_id",
            "views": [
                {
                    "file": "items.rows.parquet",
                    "query": "select item_id, cast(order_id as bigint) as order_id, added_at from event",
                }
            ],
        },
    },
}
PLAN: Plan = read_plan(json.dumps(SYNTHESIS_PLAN).encode())

Row = dict[str, Any]  # times as datetime

CITIES: list[Row] = [{"city": "Łódź's", "people": 9_007_199_254_740_993}, {"city": "Köln", "people": None}]


def plan_with(**changes: Any) -> Plan:
    """Return the plan with another synthesis."""
    plan = copy.deepcopy(SYNTHESIS_PLAN)
    plan["synthesis"] |= changes
    return read_plan(json.dumps(plan).encode())


def at(seconds: float) -> dt.datetime:
    """Return a time of this module's short history."""
    return EPOCH + dt.timedelta(seconds=seconds)


def order(number: int, customer: int | None = 1, seconds: float = 1, amount: float | None = 2.5, **more: Any) -> Row:
    """Return an order of a customer."""
    about = {"order_id": number, "customer_id": customer, "ordered_at": at(seconds), "amount": amount}
    return {**about, "channel": "web", **more}


def item(name: str, number: int | None, seconds: float = 1) -> Row:
    """Return an item of an order."""
    return {"item_id": name, "order_id": number, "added_at": at(seconds)}


def sent(row: Mapping[str, Any]) -> Row:
    """Return a row as a caller sends it."""
    return {name: value.isoformat() if isinstance(value, dt.datetime) else value for name, value in row.items()}


NO_CITY = "cities: no row, for city names none"  # the warning about a record without one, as `record` makes it


def record(customer: float | None = 1, seconds: float = 10, **more: Any) -> Record:
    """Return a record of a customer, asked about at a time."""
    values = {"customer_id": customer, "when": at(seconds), "age": None, "city": None, "loyal": None}
    return Record({**values, **more}, round(seconds * 1_000_000))


def write_tables(folder: Path, **tables: Sequence[Row]) -> None:
    """Write the files of the tables; those that are not given have no rows, but for the cities."""
    for name, columns in COLUMNS.items():
        rows = tables.get(name, CITIES if name == "cities" else [])
        values = {column: pa.array([row[column] for row in rows], ARROW[kind]) for column, kind in columns.items()}
        pq.write_table(pa.table(values), folder / f"{name}.rows.parquet")


def shop(plan: Plan = PLAN, **tables: Sequence[Row]) -> Histories:
    """Make fresh histories over files of these rows."""
    with tempfile.TemporaryDirectory() as folder:
        write_tables(Path(folder), **tables)
        return Histories(
            plan, [feature for feature in plan.features if isinstance(feature, SynthesisFeature)], Path(folder)
        )


def synthesizer(plan: Plan = PLAN) -> Synthesizer:
    """Make the computation of all of the plan's features."""
    assert plan.synthesis is not None
    return Synthesizer(plan.synthesis, NUMERIC, CATEGORICAL)


SYNTHESIZER = synthesizer()


def values_of(
    histories: Histories, records: Sequence[Record], by: Synthesizer = SYNTHESIZER
) -> tuple[list[list[Any]], list[list[str]]]:
    """Compute the features of some records, numbers before texts, and their warnings."""
    warnings: list[list[str]] = [[] for _ in records]
    numeric, categorical = by.values(records, histories.state.tables, warnings)
    assert (numeric.dtype, categorical.dtype) == (np.float32, object)
    return [[*n, *c] for n, c in zip(numeric.tolist(), categorical.tolist(), strict=True)], warnings


def reference(orders: Iterable[Row], items: Iterable[Row], record: Record) -> list[Any]:
    """Compute the same by looking at every row."""
    values, cutoff = record.values, record.values["when"]
    assert isinstance(cutoff, dt.datetime)
    theirs = [row for row in orders if row["customer_id"] == values["customer_id"] is not None]
    seen = sorted(
        (row for row in theirs if row["ordered_at"] < cutoff), key=lambda row: (row["ordered_at"], row["order_id"])
    )
    numbers = {row["order_id"] for row in seen}
    counted = [row for row in items if row["order_id"] in numbers and row["added_at"] < cutoff]
    people = {row["city"]: row["people"] for row in CITIES}.get(values["city"])
    return [
        float(len(seen)),
        float(np.float32(math.fsum(row["amount"] for row in seen if row["amount"] is not None))),
        float(len(counted)) if seen else math.nan,
        math.nan if people is None else float(np.float32(people)),
        math.nan if values["age"] is None else float(np.float32(values["age"] + 1)),  # type: ignore[operator]
        math.nan if values["loyal"] is None else float(values["loyal"]),  # type: ignore[arg-type]
        (seen[-1]["channel"] or "") if seen else "",
    ]


SECONDS = st.integers(0, 8)
ORDERS = st.builds(
    order,
    st.integers(-2, 5),
    st.sampled_from([1, 2, 2**53, None]),
    SECONDS,
    st.sampled_from([None, 0.0, 0.5, -2.0, 1024.25]),
    channel=st.sampled_from(["web", "it's", "", None]),
)
ITEMS = st.builds(item, st.sampled_from(["a", "b'", "ü", "1"]), st.integers(-2, 6) | st.none(), SECONDS)
RECORDS = st.builds(
    record,
    st.sampled_from([1, 2.0, 1.5, 2**53, 3, None, 1e30]),
    SECONDS,
    city=st.sampled_from(["Łódź's", "Köln", "nowhere", None]),
    age=st.sampled_from([None, 3, 41.5]),
    loyal=st.sampled_from([None, 0.0, 1.0]),
)
