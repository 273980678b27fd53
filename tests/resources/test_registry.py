"""Aliases and history move together, whatever is killed in between, and one step at a time moves them."""

import multiprocessing
import shutil
from pathlib import Path
from typing import Any

import pytest

from ml.hashing import hash_bytes
from resources.history import History
from resources.registry import MODEL_HASH, ROLLED_BACK, Registry, RegistryError
from resources.tracking import Tracking
from tests.resources.test_tracking import model

WRITES = (
    "set_registered_model_tag",
    "set_model_version_tag",
    "set_registered_model_alias",
    "delete_registered_model_alias",
)


class Killed(BaseException):
    """As if the process had ended here."""


def registered(tracking: Tracking, count: int = 3) -> Registry:
    """The registry `case` with some versions."""
    with tracking.run("case", "production_model", {}) as run:
        for number in range(count):
            tracking.registry("case").register(run, model(), {MODEL_HASH: f"{number}"}, {"golden.json": b"{}"})
    return tracking.registry("case")


def move(registry: Registry, version: str, action: str = "promoted") -> None:
    registry.move(action, version, by="the gates", reason="better", run="r", figures={"roc_auc": 0.8})


def aliases(registry: Registry) -> dict[str, str]:
    found = registry.client.get_registered_model("case").aliases
    return {name: str(version) for name, version in found.items()}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the registry, to be copied: to make one takes seconds."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEXTANT_HOME", str(folder))
        registered(Tracking())
    return folder


@pytest.fixture
def registry(home: Path, made: Path) -> Registry:
    shutil.copytree(made / "mlflow", home / "mlflow")
    return Tracking().registry("case")


def test_a_version_keeps_its_files_and_is_found_by_its_models_hash(registry: Registry) -> None:
    assert registry.file("2") == model()
    assert registry.file("2", "golden.json") == b"{}"
    found = registry.of_hash("1")
    assert found is not None
    assert str(found.version) == "2"
    assert registry.of_hash("9") is None
    with pytest.raises(RegistryError, match=r"version 2: missing\.json cannot be read"):
        registry.file("2", "missing.json")
    with pytest.raises(RegistryError, match=r"no version '7'; there are \[1, 2, 3\]"):
        registry.version("7")


def test_the_former_champion_becomes_previous_and_the_history_says_who_when_and_why(registry: Registry) -> None:
    move(registry, "1")
    registry.challenge("2")
    move(registry, "2", "approved")

    assert aliases(registry) == {"champion": "2", "previous": "1"}
    first, second = registry.entries()
    assert (first.version, first.former, second.version, second.former) == ("1", None, "2", "1")
    assert (second.action, second.by, second.reason, second.figures) == (
        "approved", "the gates", "better", {"roc_auc": 0.8}
    )  # fmt: skip
    tags = registry.version("2").tags
    assert (tags["sextant.approved_by"], tags["sextant.approved_reason"]) == ("the gates", "better")
    assert tags["sextant.approved_at"] == second.at


def test_what_was_rolled_back_says_so_until_it_is_champion_again(registry: Registry) -> None:
    move(registry, "1")
    move(registry, "2")

    move(registry, "1", "rolled back")
    marked = dict(registry.version("2").tags)
    move(registry, "2", "rolled back")

    assert marked[ROLLED_BACK].endswith("by the gates: better")
    assert ROLLED_BACK not in registry.version("2").tags
    assert aliases(registry) == {"champion": "2", "previous": "1"}


@pytest.mark.parametrize("survived", range(9))
def test_a_move_that_is_killed_anywhere_is_ended_or_taken_back_and_can_be_repeated(
    registry: Registry, survived: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each write of a move is killed once: what is left is a champion that the history knows, before and after."""
    move(registry, "1")
    registry.challenge("2")
    dying = Tracking().registry("case")
    left = iter(range(survived))
    for name in WRITES:
        real = getattr(dying.client, name)
        monkeypatch.setattr(dying.client, name, _dying(real, left))
    try:
        move(dying, "2")
        ended = True
    except Killed:
        ended = False

    champion = aliases(registry)["champion"]
    before = [entry.version for entry in registry.entries()]
    registry.recover()
    after = registry.entries()
    move(registry, "3")

    assert ended is (survived == 8)
    assert before[-1] == champion
    assert [entry.version for entry in after] == (["1", "2"] if champion == "2" else ["1"])
    assert all(entry.done for entry in registry.history.entries())
    assert [entry.number for entry in registry.entries()] == list(range(1, len(after) + 2))
    assert aliases(registry)["previous"] == champion
    assert aliases(registry).get("challenger") == (None if champion == "2" else "2")


def _dying(real: Any, left: Any) -> Any:
    def call(*arguments: Any, **named: Any) -> Any:
        if next(left, None) is None:
            raise Killed
        return real(*arguments, **named)

    return call


def test_an_alias_that_was_moved_by_hand_is_noted(registry: Registry) -> None:
    move(registry, "1")
    registry.client.set_registered_model_alias("case", "champion", "3")

    registry.recover()
    registry.recover()

    assert [(each.action, each.version, each.former) for each in registry.entries()] == [
        ("promoted", "1", None),
        ("moved by hand", "3", "1"),
    ]


def test_nothing_is_known_of_a_model_that_nobody_registered(home: Path) -> None:
    registry = Tracking().registry("case")

    registry.recover()

    assert registry.entries() == []
    assert registry.with_alias("champion") is None


def test_a_long_reason_is_cut_to_what_postgresql_keeps_of_a_tag(registry: Registry) -> None:
    registry.move("promoted", "1", by="b", reason="x" * 9000, run="r", figures={})

    tags = registry.client.get_registered_model("case").tags
    assert max(map(len, tags.values())) < 5000
    assert registry.entries()[0].reason.endswith("x…")


def _promote(version: str, ready: Any, order: Any) -> None:
    ready.wait()
    with Tracking().promotion("case") as registry:
        order.put(len(registry.history.entries()))
        move(registry, version)


def test_two_promotions_at_once_come_one_after_the_other(registry: Registry) -> None:
    context = multiprocessing.get_context("spawn")
    ready, order = context.Barrier(2), context.Queue()
    both = [context.Process(target=_promote, args=(version, ready, order)) for version in ("1", "2")]
    for process in both:
        process.start()
    for process in both:
        process.join()

    assert sorted([order.get(), order.get()]) == [0, 1]
    first, second = registry.entries()
    assert second.former == first.version
    assert aliases(registry) == {"champion": second.version, "previous": first.version}


def test_the_hash_is_that_of_the_models_bytes(home: Path) -> None:
    tracking = Tracking()
    with tracking.run("case", "production_model", {}) as run:
        version = tracking.registry("case").register(run, model(), {MODEL_HASH: hash_bytes(model())})

    assert hash_bytes(tracking.onnx("case", version)) == tracking.registry("case").version(version).tags[MODEL_HASH]
    assert isinstance(tracking.registry("case").history, History)
