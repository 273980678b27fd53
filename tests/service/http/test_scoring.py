from __future__ import annotations

import pytest

from service.http.bodies import BodyError
from service.http.limits import Limits
from service.http.scoring import MAX_SHOWN_PROBLEMS, REFUSED, refusal
from service.records.deadline import OutOfTimeError
from service.records.reader import InvalidRecords, Problem


def problems(number: int) -> list[Problem]:
    return [Problem("not a number", index, "distance", "far", "a number") for index in range(number)]


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (BodyError(415, "it is packed"), 415, "it is packed"),
        (OutOfTimeError(), 503, "it would take more than 7 s, so no row was accepted; send fewer at a time"),
        (InvalidRecords(problems(1)), 422, "1 problem in 1 row; no row was accepted"),
        (InvalidRecords(problems(3)), 422, "3 problems in 3 rows; no row was accepted"),
    ],
)
def test_a_refusal_says_what_was_not_done(error: Exception, status: int, words: str) -> None:
    content, answered = refusal(error, Limits(seconds=7), "row", "accepted")

    assert isinstance(error, REFUSED)
    assert (content["error"], answered) == (words, status)


def test_of_many_problems_some_are_shown_and_the_others_counted() -> None:
    content, _ = refusal(InvalidRecords(problems(MAX_SHOWN_PROBLEMS + 5)), Limits(), "record", "scored")

    assert len(content["problems"]) == MAX_SHOWN_PROBLEMS
    assert content["problems_left_out"] == 5
