"""Small twins of public data sets, with the oddities of those that people bring: drawn anew, the same each time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd


def customers(folder: Path) -> list[str]:
    """Write customers of a telecom: 11 blanks among the total charges, and no answer of three."""
    draw, rows = np.random.default_rng(1), 700
    charge, months = draw.uniform(20, 120, rows).round(2), draw.integers(0, 72, rows)
    total = [f"{value:.2f}" for value in charge * months]
    total[5:490:45] = [" "] * 11
    leaves = np.where(draw.random(rows) < 0.6 - months / 150, "Yes", "No").astype(object)
    leaves[-3:] = None
    frame = pd.DataFrame(
        {
            "customerID": [f"{number:04d}-XYZ" for number in draw.permutation(rows)],
            "Contract": draw.choice(["One year", "Month-to-month"], rows),
            "tenure": months,
            "MonthlyCharges": charge,
            "TotalCharges": total,
            "Churn": leaves,
        }
    )
    return [_written(frame, folder / "customers.csv")]


def bikes(folder: Path) -> list[str]:
    """Write rentals by the hour: American days without leading zeros, and two columns that add up to the third."""
    draw, hours = np.random.default_rng(2), pd.date_range("2011-01-01", periods=24 * 60, freq="h")
    guests, members = draw.poisson(20, len(hours)), draw.poisson(60 + 40 * np.sin(hours.hour / 24 * 6.3), len(hours))
    frame = pd.DataFrame(
        {
            "instant": range(1, len(hours) + 1),
            "dteday": [f"{time.month}/{time.day}/{time:%y}" for time in hours],
            "hr": hours.hour,
            "temp": draw.normal(20, 5, len(hours)).round(2),
            "casual": guests,
            "registered": members,
            "cnt": guests + members,
        }
    )
    return [_written(frame, folder / "hour.csv")]


def films(folder: Path) -> list[str]:
    """Write ratings of films by people, in three files: seconds since 1970, a key of two columns, codes with zeros."""
    draw, rows = np.random.default_rng(3), 900
    people = pd.DataFrame(
        {
            "userId": range(1, 41),
            "age": draw.integers(15, 70, 40),
            "zip": [f"{n:05d}" for n in draw.integers(0, 10**5, 40)],
        }
    )
    titles = [f"Film {number} ({1950 + number % 60})" for number in range(60)]
    kinds = draw.choice(["Drama", "Comedy|Drama", "Horror"], 60)
    shown = pd.DataFrame({"movieId": draw.choice(900, 60, replace=False), "title": titles, "genres": kinds})
    pairs = draw.choice(40 * 60, rows, replace=False)
    ratings = pd.DataFrame(
        {
            "userId": people["userId"].to_numpy()[pairs // 60],
            "movieId": shown["movieId"].to_numpy()[pairs % 60],
            "rating": draw.choice([1.0, 2.0, 3.0, 3.5, 4.0, 5.0], rows),
            "timestamp": draw.integers(964_982_703, 1_100_000_000, rows),
        }
    )
    return [
        _written(ratings, folder / "ratings.csv"),
        _written(shown, folder / "movies.csv"),
        _written(people, folder / "users.csv", sep=";"),
    ]


def wines(folder: Path) -> list[str]:
    """Write wines: separated by semicolons, without a key, a fifth of the rows twice, grades of which some are rare."""
    draw, rows = np.random.default_rng(4), 500
    alcohol, sugar = draw.normal(10, 1, rows).round(1), draw.gamma(2, 3, rows).round(1)
    quality = np.clip(np.round(alcohol - 4 + draw.normal(0, 1, rows)), 3, 9).astype(int)
    quality[:7] = range(3, 10)
    frame = pd.DataFrame({"residual sugar": sugar, "alcohol": alcohol, "quality": quality})
    return [_written(pd.concat([frame, frame.iloc[:100]]), folder / "wine.csv", sep=";", quoting=2)]


def hearts(folder: Path) -> list[str]:
    """Write measurements of patients without a header: question marks, mostly so in one column, constants, classes."""
    draw, rows = np.random.default_rng(5), 300
    kinds = draw.choice([1, 2, 6, 10, 16], rows, p=[0.55, 0.2, 0.1, 0.1, 0.05])
    columns = {str(n): (draw.normal(0, 10, rows) + kinds).round().astype(int) for n in range(30)}
    columns |= {f"constant {n}": np.zeros(rows, int) for n in range(3)}
    frame = pd.DataFrame(columns).astype(object)
    for place, share in ((3, 0.02), (7, 0.8)):
        frame.loc[draw.random(rows) < share, frame.columns[place]] = "?"
    frame["class"] = kinds
    frame.loc[0, "class"] = 8  # one patient alone
    return [_written(frame, folder / "arrhythmia.data", header=False)]


def houses(folder: Path) -> list[str]:
    """Write prices of houses: NA for what is missing or is not there, among numbers and among texts."""
    draw, rows = np.random.default_rng(6), 600
    area = draw.integers(40, 500, rows)
    front = draw.integers(20, 200, rows).astype(object)
    front[draw.random(rows) < 0.2] = "NA"
    frame = pd.DataFrame(
        {
            "Id": range(1, rows + 1),
            "LotFrontage": front,
            "Alley": draw.choice(["NA", "Pave", "Grvl"], rows, p=[0.9, 0.05, 0.05]),
            "GrLivArea": area,
            "YrSold": draw.integers(2006, 2011, rows),
            "SalePrice": (area * 1000 + draw.normal(0, 20_000, rows)).round(-2).astype(int) + 30_000,
        }
    )
    return [_written(frame, folder / "train.csv")]


def turnover(folder: Path) -> list[str]:
    """Write shops as a German office does: semicolons, decimal commas, points between thousands, cp1252, -999."""
    draw, rows = np.random.default_rng(7), 400
    points = str.maketrans(",.", ".,")
    frame = pd.DataFrame(
        {
            "Nr": range(rows),
            "Eröffnet": pd.date_range("2023-01-01", periods=rows).strftime("%d.%m.%Y"),
            "Größe": [f"{value:.2f}".translate(points) for value in draw.normal(100, 10, rows)],
            "Umsatz": [f"{value:,.2f}".translate(points) for value in draw.uniform(100, 9999, rows)],
            "Wärme": np.where(draw.random(rows) < 0.1, -999, draw.integers(0, 30, rows)),
            "Kündigung": draw.choice(["ja", "nein"], rows, p=[0.2, 0.8]),
        }
    )
    return [_written(frame, folder / "läden.csv", sep=";", encoding="cp1252")]


def shop(folder: Path) -> list[str]:
    """Write customers and their orders, which point at them; the orders as Parquet."""
    draw = np.random.default_rng(8)
    names = [f"C{number:04d}" for number in range(300)]
    signed = pd.date_range("2023-01-01", periods=300, freq="12h")
    people = pd.DataFrame(
        {
            "customer_id": names,
            "signed_up": signed,
            "region": draw.choice(list("abc"), 300),
            "left": draw.random(300) < 0.3,
        }
    )
    orders = pd.DataFrame(
        {
            "order_id": range(1500),
            "customer_id": draw.choice(names, 1500),
            "ordered_at": pd.Timestamp("2022-06-01") + pd.to_timedelta(draw.integers(0, 400 * 24 * 60, 1500), "min"),
            "amount": draw.gamma(2, 20, 1500).round(2),
        }
    )
    orders.to_parquet(folder / "orders.parquet", index=False)
    return [_written(people, folder / "customers.csv"), str(folder / "orders.parquet")]


TWINS: dict[Callable[[Path], list[str]], str] = {
    customers: "Churn",
    bikes: "cnt",
    films: "rating",
    wines: "quality",
    hearts: "column34",
    houses: "SalePrice",
    turnover: "Kündigung",
    shop: "left",
}


def _written(frame: pd.DataFrame, path: Path, **options: object) -> str:
    frame.to_csv(path, index=False, **options)  # type: ignore[call-overload]
    return str(path)
