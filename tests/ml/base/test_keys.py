"""Keys find each other by value, whatever types they came as, and none is rounded on the way."""

import pyarrow as pa
import pytest

from ml.base.keys import alike, joined, named_apart, places

HUGE = 2**60 + 1


def chunked(values: list[object], kind: pa.DataType) -> pa.ChunkedArray:
    half = len(values) // 2
    return pa.chunked_array([pa.array(values[:half], kind), pa.array(values[half:], kind)])


@pytest.mark.parametrize("kind", [pa.int8(), pa.int64(), pa.uint8(), pa.float64(), pa.float32()], ids=str)
@pytest.mark.parametrize("of", [pa.int32(), pa.int64(), pa.uint16(), pa.float64()], ids=str)
def test_numbers_of_all_types_find_each_other(kind: pa.DataType, of: pa.DataType) -> None:
    place = places(chunked([3, None, 1, 9], kind), chunked([1, 2, 3, None], of))

    assert place.to_pylist() == [2, None, 0, None]


def test_large_whole_numbers_are_not_rounded_to_meet() -> None:
    assert places(chunked([HUGE, HUGE + 1], pa.int64()), chunked([HUGE + 1, None], pa.int64())).to_pylist() == [None, 0]
    halves = places(chunked([1.5, 1.0, float("inf"), 2.0**63], pa.float64()), chunked([1, 2], pa.int64()))
    assert halves.to_pylist() == [None, 0, None, None]


def test_texts_find_each_other_however_they_are_encoded() -> None:
    texts = chunked(["b", "a", None], pa.string())

    assert places(texts.dictionary_encode(), chunked(["a", "b"], pa.large_string())).to_pylist() == [1, 0, None]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (pa.array(["a"]), pa.array([1])),
        (pa.array(["012"]), pa.array([12])),
        (pa.array([12.0]), pa.array(["12"])),
        (pa.array([1], pa.timestamp("us")), pa.array([1])),
        (pa.array([True]), pa.array([1])),
        (pa.array(["2024-01-01"]), pa.array([0], pa.timestamp("us"))),
    ],
    ids=str,
)
def test_keys_without_a_common_type_are_refused(left: pa.Array, right: pa.Array) -> None:
    for one, other in ((left, right), (right, left)):
        with pytest.raises(pa.ArrowInvalid):
            alike(pa.chunked_array([one]), pa.chunked_array([other]))


def test_a_column_of_nothing_finds_nothing() -> None:
    for values in (["a"], [1], [1.5], [True]):
        assert places(pa.chunked_array([pa.nulls(2)]), pa.chunked_array([values])).to_pylist() == [None, None]


def test_both_zeros_are_one_key() -> None:
    assert places(chunked([0.0, -0.0], pa.float64()), chunked([-0.0, 1.0], pa.float64())).to_pylist() == [0, 0]


def test_keys_of_several_columns_are_equal_where_all_of_their_columns_are() -> None:
    kinds = [pa.string(), pa.int64(), pa.timestamp("us")]
    of = [
        pa.chunked_array([pa.array(values, kind)])
        for values, kind in zip([["a", "a", None, "b"], [1, 2, 1, 1], [0, 0, 0, 1]], kinds, strict=True)
    ]
    asked = [["a", "a", "b", None, "a"], [2, 1, 1, 1, None], [0, 0, 1, 0, 0]]
    keys = [
        pa.chunked_array([pa.array(values, kind)])
        for values, kind in zip(asked, [pa.large_string(), pa.float64(), pa.timestamp("ns")], strict=True)
    ]
    keys[2] = pa.chunked_array([pa.array([0, 0, 1000, 0, 0], pa.timestamp("ns"))])

    assert places(keys, of).to_pylist() == [1, 0, 3, None, None]


def test_a_joined_key_is_another_for_other_parts() -> None:
    one = [pa.chunked_array([["a|", "a"]]), pa.chunked_array([["b", "|b"]])]

    assert joined(one).to_pylist() == ["a\\||b", "a|\\|b"]
    assert joined(one[:1]) is one[0]


def test_a_key_with_the_name_of_another_column_gets_one_of_its_own() -> None:
    named = named_apart(["id", "score", "key_score"], {"score", "warnings"})

    assert named == {"id": "id", "score": "key_score", "key_score": "key_key_score"}
