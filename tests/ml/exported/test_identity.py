"""Two models answer alike if only what names their runs differs."""

import pytest

from ml.exported.identity import answers_of
from ml.exported.onnx import annotated
from tests.resources.tracking.test_runs import model


@pytest.mark.parametrize("name", ["sextant.coordinates", "sextant.parity", "sextant.spec", "sextant.reference"])
def test_what_names_the_run_or_measures_the_model_does_not_count(name: str) -> None:
    one, other = (annotated(model(), {name: value, "sextant.task": "t"}) for value in ("1", "2"))

    assert one != other
    assert answers_of(one) == answers_of(other)


@pytest.mark.parametrize("name", ["sextant.encoder", "sextant.definitions", "sextant.inputs", "sextant.task"])
def test_what_decides_the_answers_counts(name: str) -> None:
    one, other = (annotated(model(), {name: value}) for value in ("1", "2"))

    assert len({answers_of(each) for each in (one, other, model())}) == 3


def test_the_graph_counts() -> None:
    assert answers_of(model()) != answers_of(model().replace(b"Identity", b"Softplus"))


def test_the_order_of_the_metadata_does_not_count() -> None:
    names = ["sextant.task", "sextant.encoder"]
    one, other = (annotated(model(), dict.fromkeys(order, "a")) for order in (names, names[::-1]))

    assert answers_of(one) == answers_of(other)
