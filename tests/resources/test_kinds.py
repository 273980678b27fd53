"""What is stored goes by a stable name, or by its place as in a plain pickle, and loads by that."""

import builtins
import dataclasses
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, get_args, get_type_hints
from unittest.mock import MagicMock

import numpy as np
import pytest
from pydantic import BaseModel

from ml.base.gpus import Gpu
from ml.declaration.catalogue import CATALOGUE
from ml.models.catalogue import family
from ml.models.custom import Adapted
from ml.models.family import Family, Training
from ml.provenance.source import is_ours
from ml.tasks.encoding import Encoder
from ml.tasks.metrics import METRICS
from ml.verdict import Verdict
from resources.formats import decode, plain
from resources.formerly import FORMERLY
from resources.kinds import KINDS, UnknownKindError, class_of, dumps, loads, stable_name
from resources.storage import Storage
from resources.tracking.history import Entry

VERDICT = Verdict("size", True, "it is small", {"megabytes": 1.0})
HELD = {  # by a fitted model of a user's own, or by the record of a project of theirs
    "verdict": VERDICT,
    "verdicts": [VERDICT],
    "entry": Entry(1, "promoted", "1", None, "ada", "it is better"),
    **{f"the metric {name}": metric for name, metric in METRICS.items()},
    "no class of the catalogue": Gpu(0, "GPU-1", "a card"),
}


class Own:
    """A fitted model of a user's own, of whichever content."""

    def __init__(self, held: Any) -> None:
        self.held = held

    class Nested(BaseModel):
        """A result of a user's own, within another class."""

        number: int


class Lookalike:
    """A family that derives from none of ours."""

    name, devices, tasks = "lookalike", ("cpu",), ("binary",)


def again(value: Any) -> Any:
    """The value that is loaded after another one was stored."""
    kind, _, content = plain(value)
    assert isinstance(content, bytes)
    return decode(kind, content)


@pytest.mark.parametrize("held", HELD.values(), ids=HELD)
def test_an_object_of_ours_is_stored_alone_and_in_a_model_of_a_users_own(held: Any, home: Path) -> None:
    storage = Storage()

    assert storage.load(storage.save("case/own", held)) == held
    assert storage.load(storage.save("case/own", Own(held))).held == held


def test_a_model_may_hold_the_rows_that_it_learned_from() -> None:
    X, y = np.zeros((2, 1), np.float32), np.array([0, 1], np.int8)
    training = Training(X, y, X, y, Encoder(("x",), {}))

    loaded = again(Own(training)).held

    np.testing.assert_equal(dataclasses.asdict(loaded), dataclasses.asdict(training))


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_family_goes_by_the_name_that_declarations_use(name: str) -> None:
    declared = family(name)

    assert stable_name(type(declared)) == f"family_{name}"
    assert type(again(Own(declared)).held) is type(declared)


def test_a_family_of_a_users_own_keeps_what_it_was_made_of() -> None:
    loaded: Family = again(Adapted(Lookalike()))

    assert isinstance(loaded, Adapted)
    assert isinstance(loaded.original, Lookalike)


@pytest.mark.parametrize("kind", [Own, Own.Nested, Gpu, Encoder])
def test_a_class_itself_is_stored(kind: type) -> None:
    assert again({"class": kind}) == {"class": kind}


def test_a_result_of_a_class_within_a_class_loads_by_its_place() -> None:
    kind, _, content = plain(Own.Nested(number=1))

    assert kind == "json:tests.resources.test_kinds:Own.Nested"
    assert isinstance(content, bytes)
    assert decode(kind, content) == Own.Nested(number=1)


def test_a_class_that_nothing_leads_to_is_refused_before_its_result_is_written() -> None:
    class Local(BaseModel):
        number: int

    with pytest.raises(UnknownKindError, match=r"<locals>.Local cannot be loaded by that name: define it at the top"):
        plain(Local(number=1))


def test_what_was_stored_by_its_place_loads_after_a_move(monkeypatch: pytest.MonkeyPatch) -> None:
    before = ModuleType("ml.before")
    before.__dict__["Judged"] = type("Judged", (Verdict,), {"__module__": "ml.before"})
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "ml.before", before)
        content = dumps(before.Judged("size", True, "it is small", {"megabytes": 1.0}))

    monkeypatch.setitem(FORMERLY, "ml.before:Judged", "verdict")  # type: ignore[arg-type]

    assert decode("pickle", content) == VERDICT


def test_a_class_of_ours_without_a_stable_name_is_stored_as_plain_pickle_does() -> None:
    assert pickle.loads(dumps(Gpu(0, "GPU-1", "a card"))) == Gpu(0, "GPU-1", "a card")


class Names(dict[str, Any]):
    """What the annotations of a module may name; what is imported for a type checker alone is anything."""

    def __init__(self, module: str) -> None:
        super().__init__({**vars(builtins), **vars(sys.modules[module])})

    def __missing__(self, name: str) -> Any:
        return MagicMock()


def held_by(kind: type) -> Iterator[type]:
    """Yield the classes of ours that the fields of a class can hold."""
    annotations = get_type_hints(kind, localns=Names(kind.__module__)).values() if not is_plain(kind) else ()
    parts = list(annotations)
    while parts:
        part = parts.pop()
        parts += [inner for inner in get_args(part) if not isinstance(inner, list)]
        if isinstance(part, type) and is_ours(part.__module__) and not getattr(part, "_is_protocol", False):
            yield part


def is_plain(kind: type) -> bool:
    return not (dataclasses.is_dataclass(kind) or issubclass(kind, BaseModel))


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_stored_class_holds_has_a_stable_name_too(kind: str) -> None:
    assert [held for held in held_by(class_of(kind)) if stable_name(held) is None] == []


def test_several_empty_arrays_are_stored() -> None:
    value = [np.empty((0, 8), "uint32"), np.empty(0), b"", np.ones(2)]

    loaded = loads(dumps(value))

    assert [type(each) for each in loaded] == [type(each) for each in value]
    assert [np.shape(each) for each in loaded] == [(0, 8), (0,), (), (2,)]
