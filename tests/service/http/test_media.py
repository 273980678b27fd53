from __future__ import annotations

import pytest
from starlette.requests import Request

from service.http.bodies import BodyError
from service.http.media import accepted, content_type

OFFERED = ["text/csv", "application/vnd.apache.parquet", "application/json"]


def request(**headers: str) -> Request:
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "headers": named})


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, "text/csv"),
        ("", "text/csv"),
        ("*/*", "text/csv"),
        ("application/json", "application/json"),
        ("application/*", "application/vnd.apache.parquet"),
        ("application/json, text/csv;q=0.9", "application/json"),
        ("APPLICATION/JSON; charset=utf-8", "application/json"),
        ("text/csv;q=0, */*;q=0.1", "application/vnd.apache.parquet"),
        ("text/html, application/xhtml+xml, */*; q=0.8", "text/csv"),
        ("application/vnd.sagemaker+json", "application/json"),
        ("text/csv;q=high, application/json;q=0.1", "application/json"),
    ],
)
def test_what_is_accepted_most_is_chosen(accept: str | None, chosen: str) -> None:
    assert accepted(request(**{} if accept is None else {"accept": accept}), OFFERED) == chosen


@pytest.mark.parametrize("accept", ["image/png", "text/csv;q=0", "x", ",;q=1"])
def test_what_cannot_be_given_is_refused(accept: str) -> None:
    with pytest.raises(BodyError, match=r"the answer may be text/csv, .*, application/json") as raised:
        accepted(request(accept=accept), OFFERED)

    assert raised.value.status == 406


def test_a_content_type_is_read_without_its_parameters() -> None:
    assert content_type(request(content_type="Text/CSV; charset=utf-8")) == "text/csv"
    assert content_type(request()) == ""
