"""A generated shop: customers, orders, items and support tickets over two years, from a mechanism that is known.

A customer orders at a pace of their own until they leave for good. The chance to leave on a day is multiplied by
COMPLAINT for each complaint of the last 30 days, and by CHEAP for customers of the plan `basic`; it does not depend on
anything else. Everything is drawn from one seed.
"""

from functools import cache

import numpy as np
import pandas as pd

SEED = 7
CUSTOMERS = 3000
DAYS = 730
START = pd.Timestamp("2023-01-01")
LEAVES_PER_DAY, COMPLAINT, CHEAP = 0.0008, 6.0, 2.0
TICKETS_PER_DAY, COMPLAINTS = 0.01, 0.4
MEMORY_DAYS = 30


@cache
def _shop() -> dict[str, pd.DataFrame]:
    random = np.random.default_rng(SEED)
    signup = random.integers(0, DAYS // 2, CUSTOMERS)
    plan = random.choice(["basic", "plus", "pro"], CUSTOMERS, p=[0.5, 0.3, 0.2])
    pace = random.gamma(4.0, 0.03, CUSTOMERS)  # orders a day
    tickets = random.random((DAYS, CUSTOMERS)) < TICKETS_PER_DAY
    complaints = tickets & (random.random((DAYS, CUSTOMERS)) < COMPLAINTS)
    here = np.arange(DAYS)[:, None] >= signup
    recent = np.zeros((DAYS, CUSTOMERS))
    for day in range(DAYS):
        recent[day] = (complaints & here)[max(0, day - MEMORY_DAYS) : day].sum(axis=0)
    chance = LEAVES_PER_DAY * COMPLAINT**recent * np.where(plan == "basic", CHEAP, 1.0)
    left = (random.random((DAYS, CUSTOMERS)) < np.minimum(chance, 1.0)) & here
    gone = np.maximum.accumulate(left, axis=0)
    active = here & ~gone
    orders = _events(random, random.poisson(np.where(active, pace, 0.0)))
    items = _items(random, orders)
    opened = _events(random, (tickets & active).astype(int))
    kinds = np.where(complaints[opened["day"], opened["customer_id"]], "complaint", "question")
    customers = pd.DataFrame(
        {
            "customer_id": np.arange(CUSTOMERS),
            "signed_up_at": START + pd.to_timedelta(signup, unit="D"),
            "plan": plan,
            "country": random.choice(["DE", "FR", "IT", "NL"], CUSTOMERS),
            "newsletter": random.random(CUSTOMERS) < 0.5,
        }
    )
    return {
        "customers": customers,
        "orders": orders.drop(columns="day").assign(amount=items.groupby("order_id")["price"].sum().round(2)),
        "items": items,
        "tickets": opened.drop(columns="day")
        .rename(columns={"order_id": "ticket_id", "ordered_at": "opened_at"})
        .assign(kind=kinds, complaint=kinds == "complaint"),
    }


def _events(random: np.random.Generator, counts: np.ndarray) -> pd.DataFrame:
    """Return one row for each event of `counts` [days, customers], at some second of its day, numbered in time."""
    day, customer = (np.repeat(where, counts[np.nonzero(counts)]) for where in np.nonzero(counts))
    at = START + pd.to_timedelta(day, unit="D") + pd.to_timedelta(random.integers(0, 86_400, len(day)), unit="s")
    events = pd.DataFrame({"customer_id": customer, "day": day, "ordered_at": at})
    events = events.sort_values(["ordered_at", "customer_id"], kind="stable", ignore_index=True)
    return events.assign(order_id=events.index)


def _items(random: np.random.Generator, orders: pd.DataFrame) -> pd.DataFrame:
    order = np.repeat(orders["order_id"].to_numpy(), random.integers(1, 5, len(orders)))
    return pd.DataFrame(
        {
            "item_id": np.arange(len(order)),
            "order_id": order,
            "product": random.choice(["book", "lamp", "mug", "shirt"], len(order)),
            "price": random.gamma(2.0, 12.0, len(order)).round(2),
        }
    )


def customers() -> pd.DataFrame:
    """Return 3,000 customers with the day on which they signed up."""
    return _shop()["customers"].copy()


def orders() -> pd.DataFrame:
    """Return the orders with their amount in euros."""
    return _shop()["orders"].copy()


def items() -> pd.DataFrame:
    """Return the items of the orders; when one was bought, and by whom, its order says."""
    return _shop()["items"].copy()


def tickets() -> pd.DataFrame:
    """Return the support tickets: questions and complaints."""
    return _shop()["tickets"].copy()
