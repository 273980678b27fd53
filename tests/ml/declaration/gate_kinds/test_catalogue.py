"""A gate is one file and one line of the catalogue: fields, switches, verdicts and code all follow from that."""

from importlib import import_module
from pathlib import Path

import pytest

from ml.declaration import gate_kinds
from ml.declaration.gate_kinds.bound import Bound
from ml.declaration.gate_kinds.catalogue import KINDS, SWITCHES
from ml.declaration.gate_kinds.kind import GateKind
from ml.declaration.gates import Gates
from ml.gates.judge import gate_modules
from ml.tasks.metrics import METRICS


def test_every_kind_that_has_a_file_has_a_line() -> None:
    files = Path(next(iter(gate_kinds.__path__))).glob("*.py")
    modules = [import_module(f"{gate_kinds.__name__}.{file.stem}") for file in files if file.stem != "__init__"]

    defined = {
        value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, GateKind) and value is not GateKind
    }

    assert defined == set(KINDS)
    assert len({kind.__module__ for kind in KINDS}) == len({kind.name for kind in KINDS}) == len(KINDS)


def test_a_declaration_has_a_field_for_each_metric_and_then_for_each_kind() -> None:
    fields = Gates.model_fields

    assert list(fields) == [*METRICS, *(kind.name for kind in KINDS), "own"]
    assert {fields[name].description for name in METRICS} == {
        f"Limits for {metric.description}." for metric in METRICS.values()
    }
    for kind in KINDS:
        assert fields[kind.name].default == kind()
        assert fields[kind.name].description == kind.description


@pytest.mark.parametrize("name", METRICS)
def test_the_limits_of_every_metric_can_be_declared(name: str) -> None:
    assert Gates.model_validate({name: {"at_least": 0.5}}).bounds == {name: Bound(at_least=0.5)}


@pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])
def test_the_code_of_a_gate_counts_where_it_is_on(kind: type[GateKind]) -> None:
    alone = Gates.model_validate({name: "off" for name in SWITCHES if name != kind.name})

    always = {other.name for other in KINDS if not other.can_be_off}
    assert set(alone.kinds) == {kind.name, *always}
    assert kind.__module__ in gate_modules(alone)
    others = {other.__module__ for other in KINDS if other.name not in (kind.name, *always)}
    assert not others & set(gate_modules(alone))
