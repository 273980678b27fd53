"""Relationships of a draft are those that hold of the data, and that a declaration may have."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ml.declaration.use_case import UseCaseSpec
from ml.draft.declaration import Draft, draft

pytestmark = pytest.mark.filterwarnings("ignore")

ROWS = 300
LINES = pd.DataFrame(
    {
        "order_id": [n // 3 for n in range(ROWS)],
        "line_no": [n % 3 for n in range(ROWS)],
        "product": [f"P{n % 9}" for n in range(ROWS)],
    }
)
RETURNS = LINES.iloc[::2, :2].assign(return_id=range(1000, 1150), refunded=[n * 7 % 3 % 2 for n in range(150)])
PRODUCTS = pd.DataFrame({"product": [f"P{n}" for n in range(9)], "weight": [n * 1.5 for n in range(9)]})
ALTERNATING = [n % 2 for n in range(ROWS)]
DAYS = [f"{day.date()}" for day in pd.date_range("2024-01-01", periods=ROWS)]


def drafted(folder: Path, target: str, **frames: pd.DataFrame) -> Draft:
    """Return the draft of frames; it holds."""
    for name, frame in frames.items():
        frame.to_csv(folder / f"{name}.csv", index=False)
    answer = draft("case", [str(folder / f"{name}.csv") for name in frames], target)
    UseCaseSpec.model_validate(answer.attributes)
    return answer


def test_a_key_of_two_columns_is_pointed_at_by_two(tmp_path: Path) -> None:
    answer = drafted(tmp_path, "refunded", lines=LINES, returns=RETURNS, products=PRODUCTS)

    assert answer.attributes["relationships"] == ["returns.(order_id, line_no) -> lines.(order_id, line_no)"]
    (further,) = (question for question in answer.questions if "products" in question)
    assert "belong together by lines.product -> products.product, which features.synthesis follows" in further


def test_keys_of_other_names_are_asked_about_by_their_values(tmp_path: Path) -> None:
    orders = pd.DataFrame({"order_id": range(ROWS), "x": [n * 7 % 5 for n in range(ROWS)], "y": ALTERNATING})
    orders["buyer"] = [f"{n % 40:04d}" for n in range(ROWS)]
    people = pd.DataFrame({"CustNo": [f"{n:04d}" for n in range(40)], "x": [n % 3 for n in range(40)]})

    answer = drafted(tmp_path, "y", orders=orders, people=people)

    (question,) = answer.questions
    assert "by their values orders.buyer -> people.CustNo (100%)" in question
    assert '# relationships: ["orders.buyer -> people.CustNo"]' in answer.text
    answered = answer.attributes | {"relationships": ["orders.buyer -> people.CustNo"]}
    assert UseCaseSpec.model_validate(answered).lookups


def test_a_column_that_leads_to_another_key_makes_it_the_key(tmp_path: Path) -> None:
    products = PRODUCTS.assign(product_id=range(9))
    sales = pd.DataFrame({"sale_id": range(ROWS), "product": LINES["product"], "y": ALTERNATING})

    attributes = drafted(tmp_path, "y", sales=sales, products=products).attributes

    assert attributes["tables"]["products"]["key"] == "product"
    assert attributes["relationships"] == ["sales.product -> products.product"]


@pytest.mark.parametrize("timed", [True, False])
def test_a_table_that_is_looked_up_may_have_a_time(timed: bool, tmp_path: Path) -> None:
    sales = pd.DataFrame({"sale_id": range(ROWS), "shop_id": [n % 9 for n in range(ROWS)], "y": ALTERNATING})
    shops = pd.DataFrame({"shop_id": range(9), "opened": DAYS[:9], "size": range(20, 29)})

    attributes = drafted(tmp_path, "y", sales=sales.assign(at=DAYS) if timed else sales, shops=shops).attributes

    assert attributes["relationships"] == ["sales.shop_id -> shops.shop_id"]
    assert ("time" in attributes["tables"]["shops"]) is timed


@pytest.mark.parametrize(
    "events",
    [
        {"customer_id": [n // 3 for n in range(ROWS)], "line": [n % 3 for n in range(ROWS)], "at": DAYS},
        {"event_id": range(ROWS), "customer_id": [n // 3 for n in range(ROWS)], "at": ["2024-01-01", None] * 150},
        {"event_id": range(ROWS), "customer.id": [n // 3 for n in range(ROWS)], "at": DAYS},
    ],
)
def test_what_cannot_be_synthesized_is_asked_about(events: dict[str, Any], tmp_path: Path) -> None:
    customers = pd.DataFrame({"customer_id": range(100), "since": DAYS[:100], "y": [n % 2 for n in range(100)]})

    answer = drafted(tmp_path, "y", customers=customers, events=pd.DataFrame(events))

    assert "relationships" not in answer.attributes
    assert any("rows of events" in question for question in answer.questions)


def test_two_tables_that_point_at_each_other_are_no_cycle(tmp_path: Path) -> None:
    since = pd.DataFrame({"since": DAYS[:100], "y": ALTERNATING[:100]})
    customers = since.assign(customer_id=range(100), visit_id=range(100, 200))
    visits = pd.DataFrame({"visit_id": range(300), "customer_id": [n % 100 for n in range(300)], "at": DAYS})

    attributes = drafted(tmp_path, "customers.y", customers=customers, visits=visits).attributes

    assert attributes["relationships"] == ["customers.visit_id -> visits.visit_id"]


def test_a_table_with_a_row_for_each_example_is_looked_up_by_its_key(tmp_path: Path) -> None:
    customers = pd.DataFrame({"customer_id": range(ROWS), "y": ALTERNATING})
    details = pd.DataFrame({"customer_id": range(ROWS), "age": [n % 40 for n in range(ROWS)]})

    attributes = drafted(tmp_path, "y", details=details, customers=customers).attributes

    assert attributes["relationships"] == ["customers.customer_id -> details.customer_id"]


def test_a_table_whose_key_has_a_time_is_looked_up_by_all_of_it(tmp_path: Path) -> None:
    weather = pd.DataFrame(
        {
            "station_id": [n % 3 for n in range(ROWS)],
            "hour": sorted(DAYS[:100] * 3),
            "rain": [n % 7 for n in range(ROWS)],
        }
    )
    rides = weather[["station_id", "hour"]].assign(ride_id=range(1000, 1000 + ROWS), y=ALTERNATING)

    attributes = drafted(tmp_path, "y", rides=rides, weather=weather).attributes

    assert attributes["relationships"] == ["rides.(station_id, hour) -> weather.(station_id, hour)"]
