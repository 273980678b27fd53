"""The settings of a service: each is in one row of the documentation, with its default."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from service.http.limits import Limits
from service.http.settings import NAMES
from service.predictions.settings import PredictionSettings

DOCS = Path(__file__).parents[2] / "docs"
ROWS = re.findall(r"^\| `(SEXTANT_\w+)` \| (.+?) \| .+ \|$", (DOCS / "bento.md").read_text(), re.M)


def test_the_page_has_one_row_for_each_setting_that_the_service_reads() -> None:
    assert sorted(name for name, _ in ROWS) == sorted(NAMES)


@pytest.mark.parametrize("settings", [Limits(), PredictionSettings("s3://lake")])
def test_the_page_has_the_defaults_of_settings_that_are_numbers(settings: msgspec.Struct) -> None:
    values = msgspec.to_builtins(settings)
    expected = {name: float(value) for name, value in values.items() if isinstance(value, int | float)}
    listed = dict(ROWS)

    assert expected == {name: float(listed[name].replace(",", "")) for name in expected}


def test_no_other_page_has_such_a_row() -> None:
    pages = {page.name for page in DOCS.glob("*.md") for name in NAMES if f"| `{name}` |" in page.read_text()}

    assert pages == {"bento.md"}
