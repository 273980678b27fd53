"""Warnings that know their kind."""

from __future__ import annotations

import pickle
from typing import Any, get_args

import pyarrow as pa
import pytest

from service.http.endpoint import encode
from service.http.served import Served
from service.records.notices import Kind, Notice, notice


def test_a_notice_is_its_text_wherever_it_goes() -> None:
    text = notice("far", "distance", ["distance"], "distance -500 is far")

    assert text == "distance -500 is far"
    assert encode({"warnings": [[text], []]}) == b'{"warnings":[["distance -500 is far"],[]]}'
    assert pa.array([text]).to_pylist() == ["distance -500 is far"]
    copied = pickle.loads(pickle.dumps(text))
    assert (copied, copied.kind, copied.about, copied.columns) == (text, "far", "distance", ["distance"])


def test_what_is_no_text_is_still_refused() -> None:
    with pytest.raises(NotImplementedError, match="object is not JSON"):
        encode([object()])


def test_a_text_of_no_kind_may_quote_anything() -> None:
    assert (Notice("x").kind, Notice("x").about, Notice("x").columns) == ("other", "", None)


@pytest.mark.parametrize(
    "changed",
    [
        {"tailnum": None, "origin": None},
        {"tailnum": "N9", "origin": "XXX"},
        {"scheduled_departure": "2014-01-03T10:30:00"},
        {"scheduled_departure": "2014-01-02T02:30:00"},
    ],
)
def test_all_that_the_service_warns_of_is_of_a_kind(
    served: Served, record: dict[str, Any], changed: dict[str, Any]
) -> None:
    (warnings,) = served.require_predictor().predict([{**record, **changed}]).warnings

    assert warnings
    for text in warnings:
        assert isinstance(text, Notice)
        assert text.kind in set(get_args(Kind)) - {"other"}
        assert text.about
        assert text.columns is not None
