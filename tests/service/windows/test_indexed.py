from __future__ import annotations

from service.records.layered import Layered
from service.windows.indexed import Edits, Indexed
from service.windows.series import Event, Series, Totals

EVENTS = [Event(time, name, {"v": time}) for time, name in [(1, "a"), (2, "b"), (5, "c")]]
INDEXED = Indexed(Series.empty({"v": Totals()}).edit([], EVENTS), {"x": (0, 2), "y": (2, 3)}, Layered.of())


def names(indexed: Indexed, key: str) -> list[str] | None:
    events = indexed.find(key)
    return None if events is None else [events[0].name(at) for at in range(*events[1:])]


def test_the_events_of_a_key_are_found_and_of_no_other() -> None:
    assert [names(INDEXED, key) for key in "xyz"] == [["a", "b"], ["c"], None]


def test_edits_of_some_keys_leave_the_others_and_the_earlier_index_as_they_were() -> None:
    edits = {"x": Edits([(1, "a")], [Event(3, "d", {"v": 4})]), "z": Edits([], [Event(9, "e", {"v": None})])}

    after = INDEXED.edit(edits)

    assert [names(after, key) for key in "xyz"] == [["b", "d"], ["c"], ["e"]]
    assert [names(INDEXED, key) for key in "xyz"] == [["a", "b"], ["c"], None]


def test_a_key_that_loses_all_its_events_has_none() -> None:
    after = INDEXED.edit({"y": Edits([(5, "c")], [])})

    assert names(after, "y") is None
    assert names(after.edit({"y": Edits([], [Event(7, "f", {"v": 1})])}), "y") == ["f"]
