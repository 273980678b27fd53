from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest

from service.plan.document import encode_plan
from service.plan.reading import read_plan
from tests.service.conftest import PLAN
from tests.support.past import plan_dict
from tests.support.synthesized import SYNTHESIS_PLAN


def read(plan: dict[str, Any]) -> Any:
    return read_plan(json.dumps(plan).encode())


def test_the_first_cutoff_is_the_one_that_the_longest_window_allows(plan: dict[str, Any]) -> None:
    longer = {**plan["features"][-1], "name": "longer", "window_s": 2 * 86400}
    plan["features"] += [longer, {**longer, "name": "all", "window_s": None}]

    assert read(plan).first_cutoff == dt.datetime(2014, 1, 3)


def test_a_plan_may_have_no_time_and_no_lookups() -> None:
    plan: dict[str, Any] = {"use_case": "u", "record": {"x": "number"}, "required": [], "cutoff": None, "features": []}

    assert read(plan).first_cutoff is None


@pytest.mark.parametrize("plan", [PLAN, plan_dict(), SYNTHESIS_PLAN], ids=lambda plan: plan["use_case"])
def test_an_encoded_plan_is_read_as_the_same_plan(plan: dict[str, Any]) -> None:
    content = encode_plan(read(plan))

    assert read_plan(content) == read(plan)
    assert encode_plan(read_plan(content)) == content


def test_a_plan_is_encoded_with_what_it_has(plan: dict[str, Any]) -> None:
    document = json.loads(encode_plan(read(plan)))

    plan["lookups"]["weather"]["at_cutoff"] = "included"
    assert document == {**plan, "task": {"kind": "binary", "classes": []}}
