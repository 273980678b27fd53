"""The model card says what was checked, what was not, and where the model's limits are."""

from typing import Any

import pytest

from ml.declaration.use_case import UseCaseSpec
from ml.evaluation.record import LeakAudit
from ml.report.card import Card, model_card
from tests.support.judged import made, spec_of

COORDINATES: dict[str, Any] = {"id": "0123456789abcdef", "data": {"raw_rows": "f" * 64}, "seed": 0}


def card(spec: UseCaseSpec | None = None, **changes: Any) -> Card:
    found, _, _ = made("binary", champion=False)
    return model_card("zoo", spec or spec_of("binary"), found.model_copy(update=changes), COORDINATES)


def declared(examples: dict[str, Any], **changes: Any) -> UseCaseSpec:
    told = spec_of("binary").model_dump(mode="json", exclude_unset=True)
    return UseCaseSpec.model_validate({**told, "examples": {**told["examples"], **examples}, **changes})


@pytest.mark.parametrize(
    ("audit", "said"),
    [
        (LeakAudit(passed=True, reason="no feature changed"), "Passed: no feature changed."),
        (LeakAudit(passed=False, reason="x knows the future"), "FAILED: x knows the future."),
        (None, "The problem has no cutoff, so that there is no future to leak from."),
    ],
)
def test_the_card_tells_how_the_check_for_leaks_ended(audit: LeakAudit | None, said: str) -> None:
    assert card(leak_audit=audit)["Leak audit"] == [said]


def found_on(metric: str) -> str:
    found, _, _ = made("binary", champion=False)
    worst = found.slices[0].model_copy(update={"found": True, "deficit": 0.1, "p_value": 0.01})
    spec = spec_of("binary").model_copy(update={"metric": metric})
    return " ".join(card(spec, slices=(worst,))["Limits"])


def test_a_slice_that_was_found_is_told_without_calling_it_a_fault() -> None:
    assert "Its roc_auc is worse than elsewhere on site = north. Within a range of a feature" in found_on("roc_auc")
    assert "worse than elsewhere on site = north. That is no proof of a fault" in found_on("accuracy")
    assert "worse than elsewhere" not in " ".join(card(slices=())["Limits"])


@pytest.mark.parametrize(
    ("examples", "shared"),
    [
        ({"split": {"validation_share": 0.2, "test_share": 0.2, "group": "patient"}}, "patient"),
        ({"query": "select id, seen as cutoff, y from rows", "target": None}, "id"),
    ],
)
def test_rows_that_share_something_are_named_as_a_limit_of_the_intervals(examples: dict[str, Any], shared: str) -> None:
    said = f"test rows of the same {shared} as if they had nothing in common"

    assert any(said in sentence for sentence in card(declared(examples))["Limits"])
    assert not any("in common" in sentence for sentence in card()["Limits"])
    within = {**examples, "ranked_within": shared}
    assert not any("in common" in sentence for sentence in card(declared(within))["Limits"])


def test_an_approval_that_is_required_is_said_to_wait() -> None:
    waiting = card(spec_of("binary").model_copy(update={"production": spec_of("binary").production.model_copy(
        update={"approval": "required"})}))  # fmt: skip

    assert waiting["Approval"][0].startswith("Not approved when this was written: it waits for `sextant approve zoo")
    assert card()["Approval"][0].startswith("No approval is asked for")


def test_a_share_that_is_wanted_is_told_as_it_was_declared() -> None:
    found, _, _ = made("regression")
    assert found.coverage is not None
    short = found.coverage.model_copy(
        update={"wanted": 0.995, "covered": found.coverage.covered.model_copy(update={"value": 0.9, "high": 0.95})}
    )

    limits = model_card("zoo", spec_of("regression"), found.model_copy(update={"coverage": short}), COORDINATES)[
        "Limits"
    ]

    assert "Its interval holds fewer rows than the 99.5% wanted: 90.0%." in limits


def test_a_sample_is_named_as_a_limit() -> None:
    spec = spec_of("binary")
    tables = {name: table.model_copy(update={"sample": "10%"}) for name, table in spec.tables.items()}

    (named, *_), plain = card(spec.model_copy(update={"tables": tables}))["Limits"], card(spec)["Limits"]

    said = "It has seen samples alone, for a first look, and is never promoted"
    assert named == f"{said}: tables.{next(iter(tables))}.sample is 10%."
    assert named not in plain
