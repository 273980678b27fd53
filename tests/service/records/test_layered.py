from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from service.records.layered import Layered, layered

MAPS = st.dictionaries(st.integers(0, 9), st.integers(1, 3))
CHANGES = st.lists(st.dictionaries(st.integers(0, 9), st.none() | st.integers(1, 3)))


@given(MAPS, CHANGES)
def test_a_changed_map_is_that_of_the_changes_and_the_earlier_ones_stay(
    origin: dict[int, int], changes: list[dict[int, int | None]]
) -> None:
    expected, known, seen = dict(origin), Layered.of(origin), []
    for change in changes:
        seen.append((known, dict(expected)))
        known = known.change(change)
        expected = {key: value for key, value in {**expected, **change}.items() if value is not None}
    for some, entries in [*seen, (known, expected)]:
        assert dict(some) == entries
        assert len(some) == len(entries)
        assert [key in some for key in range(11)] == [key in entries for key in range(11)]


def test_many_changes_copy_few_entries() -> None:
    known: Layered[int, int] = layered({})
    for key in range(20_000):
        known = known.change({key: key})

    assert len(known._small) < 200
    assert known[12_345] == 12_345
    assert layered(known) is known
