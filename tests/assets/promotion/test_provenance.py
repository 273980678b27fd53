"""A model is judged only on rows of the very examples that it was trained on, made as it is declared today."""

from typing import Any

import pytest

from assets.framework.case import Case
from assets.promotion.provenance import MismatchError, require_judged_as_declared, require_same_origin
from ml.declaration.use_case import UseCaseSpec
from ml.provenance.coordinates import Loaded
from resources.ledger import Ledger, LedgerError
from tests.assets.test_reads import resolved

TABLE, TEST, DEVELOPMENT = "raw/rows", "features/test", "features/development"


class Known(Ledger):
    """A ledger of some records."""

    def __init__(self, kept: dict[str, dict[str, Any]]) -> None:
        self.kept = kept

    def get(self, identity: str) -> dict[str, Any]:
        if identity not in self.kept:
            raise LedgerError(f"no coordinates {identity!r}")
        return self.kept[identity]

    def with_content(self, asset: str, content: str) -> list[str]:
        return [identity for identity in self.kept if identity.startswith(content)]


def given(asset: str, identity: str, content: str | None = None) -> dict[str, str]:
    """An input; its content has the name of its coordinates unless said otherwise."""
    return {"asset": f"small/{asset}", "hash": content or identity, "coordinates": identity}


def record(declared: dict[str, Any] | None = None, **inputs: dict[str, str]) -> dict[str, Any]:
    return {"data": inputs, "config": {"value": declared or resolved()}}


def raw(identity: str = "r1") -> dict[str, str]:
    return given(TABLE, identity)


CASE = Case("small", UseCaseSpec.model_validate(resolved()))
KEPT = {
    "e1": record(raw_rows=raw()),
    "e2": record(raw_rows=raw("r2")),
    "d1": record(examples=given("examples", "e1"), raw_rows=raw()),
    "d2": record(examples=given("examples", "e2"), raw_rows=raw("r2")),
    "t1": record(examples=given("examples", "e1"), raw_rows=raw()),
    "m1": record(development=given(DEVELOPMENT, "d1")),
    "m2": record(development=given(DEVELOPMENT, "d2")),
    "o1": record(logistic=given("models/logistic", "m1"), development=given(DEVELOPMENT, "d1")),
    "mixed": record(logistic=given("models/logistic", "m2"), development=given(DEVELOPMENT, "d1")),
    "o2": record(logistic=given("models/logistic", "m2"), development=given(DEVELOPMENT, "d2")),
    "v1": record(onnx_model=given("onnx_model", "o1"), test=given(TEST, "t1"), raw_rows=raw()),
    "v2": record(onnx_model=given("onnx_model", "o2"), test=given(TEST, "t1"), raw_rows=raw()),
}


def judged(model: str = "o1", table: str = "r1", **kept: dict[str, Any]) -> None:
    inputs = {"onnx_model": given("onnx_model", model), "test": given(TEST, "t1"), "raw_rows": raw(table)}
    loaded = {name: Loaded(**each) for name, each in inputs.items()}
    require_same_origin("small", loaded, resolved(), Known({**KEPT, **kept}))


def test_what_was_made_of_the_same_belongs_together() -> None:
    judged()
    require_judged_as_declared(CASE, "v1", resolved(), Known(KEPT))


def test_equal_examples_that_were_made_twice_are_the_same() -> None:
    judged(t1=record(examples=given("examples", "e3", "e1"), raw_rows=raw()))


@pytest.mark.parametrize(("model", "learned"), [("o2", "e2"), ("mixed", "e1 and e2")])
def test_a_model_of_which_any_part_was_trained_on_other_examples_is_refused(model: str, learned: str) -> None:
    with pytest.raises(
        MismatchError,
        match=f"onnx_model was trained on the examples {learned}, features/test is of the examples e1: the candidate "
        "may have learned from test rows; materialize features/test again, or run small_retrain",
    ):
        judged(model)


@pytest.mark.parametrize(("asset", "identity"), [(TEST, "t1"), (DEVELOPMENT, "d1")])
def test_features_that_were_made_under_another_declaration_are_refused(asset: str, identity: str) -> None:
    changed = {identity: {**KEPT[identity], "config": {"value": resolved(features={"ignore": ["x"]})}}}

    with pytest.raises(MismatchError, match=f"{asset} was made under another declaration \\(features.ignore changed"):
        judged(**changed)


def test_features_that_today_s_declaration_makes_alike_belong_together() -> None:
    other = {**KEPT["d1"], "config": {"value": resolved(features={"ignore": ["x"]})}}

    judged(d1=other, d1_again=KEPT["d1"])


def test_a_threshold_of_another_objective_is_refused() -> None:
    other = {**KEPT["o1"], "config": {"value": resolved(evaluation={"threshold": {"precision_at_recall": 0.8}})}}

    with pytest.raises(MismatchError, match=r"\(evaluation.threshold changed\); materialize onnx_model again, or run"):
        judged(o1=other)


def test_tables_other_than_those_that_the_test_features_were_made_from_are_refused() -> None:
    with pytest.raises(MismatchError, match="features/test was made from other content of raw/rows than is there now"):
        judged(table="r2")


@pytest.mark.parametrize(("identity", "asset"), [("t1", TEST), ("d1", DEVELOPMENT), ("o1", "onnx_model")])
def test_what_nobody_knows_the_origin_of_is_refused(identity: str, asset: str) -> None:
    kept = {name: each for name, each in KEPT.items() if name != identity}
    loaded = {name: Loaded(**each) for name, each in KEPT["v1"]["data"].items()}

    with pytest.raises(MismatchError, match=f"nobody knows what {asset} was made from"):
        require_same_origin("small", loaded, resolved(), Known(kept))


def test_an_evaluation_of_what_does_not_belong_together_is_refused_whenever_it_was_made() -> None:
    with pytest.raises(MismatchError, match="the candidate may have learned from test rows"):
        require_judged_as_declared(CASE, "v2", resolved(), Known(KEPT))


def test_an_evaluation_under_another_declaration_is_refused() -> None:
    declared = resolved(evaluation={"slices": ["g"]})

    with pytest.raises(MismatchError, match=r"\(evaluation.slices changed\): materialize evaluation again"):
        require_judged_as_declared(CASE, "v1", declared, Known(KEPT))
