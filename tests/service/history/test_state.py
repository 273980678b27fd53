from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from service.history.state import Arrivals, Histories, State
from service.records.reader import Record
from tests.service.history.test_files import TABLE
from tests.support.past import FEATURES, PLAN, histories_of, values_of

RECORD = Record({"when": None, "a": "x", "b": 1}, 2_000_000)
ROW = {"id": "e1", "a": "x", "b": 1, "at": 0, "v": 3, "w": 250}
EVENT = {"_row": "e2", "a": "x", "b": 1, "at": 1_000_000, "v": 4, "w": None}


def test_only_lookups_of_features_in_use_are_read(tmp_path: Path) -> None:
    features = [feature for feature in FEATURES.values() if feature.lookup == "of_b_included" and not feature.column]
    pq.write_table(pa.table({name: TABLE[name] for name in ["_row", "b", "at"]}), tmp_path / "events.parquet")

    past = Histories(PLAN, features, tmp_path)

    assert set(past.state.windows) == {"of_b_included"}
    assert Histories(PLAN, [], tmp_path / "nowhere").state == State({}, {})


def test_a_change_is_seen_once_it_is_committed() -> None:
    histories = histories_of([ROW])
    before = values_of(histories, RECORD)

    change = histories.change([Arrivals("events.parquet", {"e2": EVENT, "e1": None})])

    assert str(values_of(histories, RECORD)) == str(before)
    assert change.replaced == {"e1"}
    histories.commit(change)
    event = {name: value for name, value in EVENT.items() if name != "_row"}
    assert str(values_of(histories, RECORD)) == str(values_of(histories_of([{"id": "e2", **event}]), RECORD))


def test_a_committed_event_is_replaced_by_the_next_of_its_name() -> None:
    histories = histories_of([])
    histories.commit(histories.change([Arrivals("events.parquet", {"e2": EVENT})]))

    change = histories.change([Arrivals("events.parquet", {"e2": {**EVENT, "a": "y"}})])

    assert change.replaced == {"e2"}
    assert change.state.windows["of_a_included"].find("x") is None
