"""Aliases and history move together, whatever is killed in between, and one step at a time moves them."""

import multiprocessing
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ml.base.hashing import hash_bytes
from resources.tracking.history import History, Standing
from resources.tracking.protocol import RegisteredVersion, RegistryError
from resources.tracking.registry import MODEL_HASH, ROLLED_BACK, Registry
from resources.tracking.runs import Tracking
from resources.tracking.versions import MlflowVersions
from tests.resources.tracking.test_runs import model

pytestmark = pytest.mark.slow

WRITES = (
    "set_registered_model_tag",
    "set_model_version_tag",
    "set_registered_model_alias",
    "delete_registered_model_alias",
    "delete_model_version_tag",
    "delete_registered_model_tag",
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


def client(registry: Registry) -> Any:
    """MLflow's own client of the registry's store."""
    assert isinstance(registry.versions, MlflowVersions)
    return registry.versions.client


def aliases(registry: Registry) -> dict[str, str]:
    found = client(registry).get_registered_model("case").aliases
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
    registry.tag("3", {MODEL_HASH: "1"})
    assert [str(each.version) for each in registry.tagged(MODEL_HASH, "1")] == ["2", "3"]
    assert registry.tagged(MODEL_HASH, "9") == []
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


def test_a_rollback_leaves_who_approved_a_version_as_it_was(registry: Registry) -> None:
    move(registry, "1")
    move(registry, "2")
    approved = {name: value for name, value in registry.version("1").tags.items() if "approved" in name}

    registry.move("rolled back", "1", by="ada", reason="complaints", run="r", figures={})

    assert approved["sextant.approved_by"] == "the gates"
    assert registry.version("1").tags.items() >= approved.items()


def test_what_was_rolled_back_says_so_until_it_is_champion_again(registry: Registry) -> None:
    move(registry, "1")
    move(registry, "2")

    move(registry, "1", "rolled back")
    marked = dict(registry.version("2").tags)
    move(registry, "2", "rolled back")

    assert marked[ROLLED_BACK].endswith("by the gates: better")
    assert ROLLED_BACK not in registry.version("2").tags
    assert aliases(registry) == {"champion": "2", "previous": "1"}


def dying(survived: int, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """The registry in a process that is killed at a write, after some."""
    found = Tracking().registry("case")
    left = iter(range(survived))
    for name in WRITES:
        monkeypatch.setattr(client(found), name, _dying(getattr(client(found), name), left))
    return found


def ends(what: Callable[[], object]) -> bool:
    """Whether something ends before it is killed."""
    try:
        what()
    except Killed:
        return False
    return True


def approvers(registry: Registry) -> dict[str, str]:
    """Of the versions that say so, who approved them."""
    tags = {number: registry.version(number).tags for number in ("1", "2", "3")}
    return {number: each["sextant.approved_by"] for number, each in tags.items() if "sextant.approved_by" in each}


@pytest.mark.parametrize("survived", range(9))
def test_a_move_that_is_killed_anywhere_is_ended_or_taken_back_and_can_be_repeated(
    registry: Registry, survived: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each write of a move is killed once: what is left is a champion that the history knows, before and after."""
    move(registry, "1")
    registry.challenge("2")
    ended = ends(lambda: move(dying(survived, monkeypatch), "2"))

    champion = aliases(registry)["champion"]
    before = [entry.version for entry in registry.entries()]
    registry.recover()
    after, approved = registry.entries(), approvers(registry)
    move(registry, "3")

    assert ended is (survived == 8)
    assert before[-1] == champion
    assert [entry.version for entry in after] == (["1", "2"] if champion == "2" else ["1"])
    assert list(approved) == [entry.version for entry in after]
    assert all(entry.done for entry in registry.history.entries())
    assert [entry.number for entry in registry.entries()] == list(range(1, len(after) + 2))
    assert aliases(registry)["previous"] == champion
    assert aliases(registry).get("challenger") == (None if champion == "2" else "2")


def back(registry: Registry, version: str) -> None:
    registry.move("rolled back", version, by="ada", reason="complaints", run="r", figures={})


@pytest.mark.parametrize("survived", range(7))
def test_a_rollback_that_is_killed_anywhere_is_ended_or_taken_back(
    registry: Registry, survived: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Version 2 was rolled back before, so that each write of a rollback to it has something to do."""
    move(registry, "1")
    move(registry, "2")
    back(registry, "1")
    ended = ends(lambda: back(dying(survived, monkeypatch), "2"))

    champion = aliases(registry)["champion"]
    registry.recover()
    after, marked = registry.entries(), [n for n in ("1", "2") if ROLLED_BACK in registry.version(n).tags]

    assert ended is (survived == 6)
    assert champion == ("1" if survived < 2 else "2")
    assert marked == (["2"] if champion == "1" else ["1"])
    assert [entry.version for entry in after] == (["1", "2", "1"] if champion == "1" else ["1", "2", "1", "2"])
    assert aliases(registry) == {"champion": champion, "previous": "2" if champion == "1" else "1"}
    assert approvers(registry) == {"1": "the gates", "2": "the gates"}


@pytest.mark.parametrize("survived", range(4))
def test_a_recovery_that_is_killed_anywhere_is_ended_by_the_next_one(
    registry: Registry, survived: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    move(registry, "1")
    move(registry, "2")
    with monkeypatch.context() as patch:
        ends(lambda: back(dying(2, patch), "1"))
    ended = ends(lambda: dying(survived, monkeypatch).recover())

    registry.recover()

    assert ended is (survived == 3)
    assert aliases(registry) == {"champion": "1", "previous": "2"}
    assert ROLLED_BACK in registry.version("2").tags
    assert [(each.version, each.done) for each in registry.history.entries()] == [
        ("1", True), ("2", True), ("1", True)
    ]  # fmt: skip


@pytest.mark.parametrize("moved", [True, False])
def test_a_recovery_that_is_killed_while_it_notes_or_takes_back_something_is_repeated(
    registry: Registry, moved: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    move(registry, "1")
    if moved:
        client(registry).set_registered_model_alias("case", "champion", "3")
    else:
        with monkeypatch.context() as patch:
            ends(lambda: move(dying(1, patch), "2"))

    assert not ends(dying(0, monkeypatch).recover)
    registry.recover()

    champions = ["1", "3"] if moved else ["1"]
    assert [(entry.version, entry.done) for entry in registry.history.entries()] == [(each, True) for each in champions]


def _dying(real: Any, left: Any) -> Any:
    def call(*arguments: Any, **named: Any) -> Any:
        if next(left, None) is None:
            raise Killed
        return real(*arguments, **named)

    return call


def test_an_alias_that_was_moved_by_hand_is_noted(registry: Registry) -> None:
    move(registry, "1")
    client(registry).set_registered_model_alias("case", "champion", "3")

    registry.recover()
    registry.recover()

    assert [(each.action, each.version, each.former) for each in registry.entries()] == [
        ("promoted", "1", None),
        ("moved by hand", "3", "1"),
    ]


WAYS_OUT = r"sextant rollback case --to VERSION --reason ….*sextant retire case --reason …"


def test_a_champion_whose_alias_was_deleted_is_still_the_champion_and_gets_it_back(registry: Registry) -> None:
    move(registry, "1")
    registry.versions.delete_alias("champion")

    before = registry.champion()
    for _ in range(2):
        registry.recover()

    assert before is not None
    assert before.version == "1"
    assert aliases(registry) == {"champion": "1"}
    assert [(entry.action, entry.version) for entry in registry.entries()] == [("promoted", "1"), ("restored", "1")]


def test_an_alias_that_was_moved_by_hand_and_then_deleted_is_restored_too(registry: Registry) -> None:
    move(registry, "1")
    registry.versions.set_alias("champion", "3")
    registry.recover()
    registry.versions.delete_alias("champion")

    registry.recover()

    assert aliases(registry)["champion"] == "3"
    assert [entry.action for entry in registry.entries()] == ["promoted", "moved by hand", "restored"]


@pytest.mark.parametrize("survived", range(4))
def test_a_restoration_that_is_killed_anywhere_is_done_by_the_next_one(
    registry: Registry, survived: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    move(registry, "1")
    registry.versions.delete_alias("champion")
    ended = ends(dying(survived, monkeypatch).recover)

    registry.recover()

    assert ended is (survived == 3)
    assert aliases(registry) == {"champion": "1"}
    assert [(entry.action, entry.done) for entry in registry.history.entries()] == [
        ("promoted", True), ("restored", True)
    ]  # fmt: skip


def test_a_champion_that_was_deleted_is_missed_until_somebody_goes_back(registry: Registry) -> None:
    move(registry, "1")
    move(registry, "2")
    client(registry).delete_model_version("case", "2")

    for _ in range(2):
        registry.recover()
        with pytest.raises(RegistryError, match=rf"the champion of case was deleted: .*{WAYS_OUT}"):
            registry.champion()
    assert registry.standing() == ("2", "1")
    move(registry, "1", "rolled back")

    champion = registry.champion()
    assert champion is not None
    assert champion.version == "1"
    assert [entry.action for entry in registry.entries()] == ["promoted", "promoted", "deleted by hand", "rolled back"]


@pytest.mark.parametrize("survived", range(4))
def test_a_retirement_that_is_killed_anywhere_is_ended_or_never_was(
    registry: Registry, survived: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    move(registry, "1")
    retire = dying(survived, monkeypatch).retire
    ended = ends(lambda: retire(by="ada", reason="it lies", run="r"))

    registry.recover()
    champion = registry.champion()

    assert ended is (survived == 3)
    assert (champion is None) is (survived > 0)
    assert registry.standing() == (None if survived else ("1", "0"))
    assert [entry.action for entry in registry.entries()] == ["promoted", *(["retired"] if survived else [])]
    move(registry, "2")
    assert aliases(registry)["champion"] == "2"


def lost(registry: Registry, promoted: Standing) -> Registry:
    """The registry as a home sees it in which this was promoted."""
    return Registry(registry.versions, promoted)


@pytest.mark.parametrize("renamed", [True, False])
def test_a_model_that_was_deleted_or_renamed_is_missed_until_its_champion_is_retired(
    registry: Registry, renamed: bool
) -> None:
    move(registry, "1")
    if renamed:
        client(registry).rename_registered_model("case", "other")
    else:
        client(registry).delete_registered_model("case")
    seen = lost(registry, Standing("1", "0"))

    seen.recover()
    with pytest.raises(RegistryError, match=rf"version 1 of case was its latest champion, .*renamed.*{WAYS_OUT}"):
        seen.champion()
    seen.retire(by="ada", reason="begin anew", run="r")

    assert seen.champion() is None
    assert [(entry.action, entry.version, entry.model_hash) for entry in seen.entries()] == [("retired", "1", "0")]


@pytest.mark.parametrize("known", [Standing("1", "another model"), Standing("2", "")], ids=["number", "history"])
def test_a_registry_that_does_not_know_the_latest_promotion_is_not_believed(
    registry: Registry, known: Standing
) -> None:
    move(registry, "1")

    with pytest.raises(RegistryError, match=rf"version {known.version} of case was its latest champion.*{WAYS_OUT}"):
        lost(registry, known).champion()
    for right in (Standing("1", "0"), Standing("1", "")):
        assert lost(registry, right).champion() is not None


def test_a_number_that_stands_for_another_model_is_no_champion(registry: Registry) -> None:
    move(registry, "1")

    for tags in ({MODEL_HASH: "another"}, {MODEL_HASH: ""}):
        registry.tag("1", tags)
        with pytest.raises(RegistryError, match=rf"the champion case:1 is another model than was promoted.*{WAYS_OUT}"):
            registry.champion()


def test_a_version_of_somebody_elses_is_no_champion(registry: Registry) -> None:
    registry.versions.delete_tag("3", MODEL_HASH)
    registry.versions.set_alias("champion", "3")
    registry.recover()

    with pytest.raises(RegistryError, match=rf"the champion case:3 was not registered by Sextant.*{WAYS_OUT}"):
        registry.champion()


@pytest.mark.parametrize("note", ["garbage", "", "[1]", '{"number": 1}', '{"version": "1"}'])
def test_a_history_that_was_edited_outside_of_sextant_is_named_with_the_way_out(registry: Registry, note: str) -> None:
    move(registry, "1")
    move(registry, "2")
    client(registry).set_registered_model_tag("case", "sextant.history.000002", note)

    for asked in (registry.champion, registry.entries, registry.standing, registry.recover):
        with pytest.raises(
            RegistryError, match=r"history of case cannot be read: the tag sextant\.history\.000002 .*delete"
        ):
            asked()
    registry.versions.delete_note("sextant.history.000002")
    registry.recover()

    assert [(entry.action, entry.version) for entry in registry.entries()] == [
        ("promoted", "1"),
        ("moved by hand", "2"),
    ]


def test_a_note_that_a_later_sextant_wrote_is_read(registry: Registry) -> None:
    move(registry, "1")
    (key, note) = next(item for item in registry.versions.notes().items())
    client(registry).set_registered_model_tag("case", key, note.replace("{", '{"later": 1, ', 1))

    assert [entry.version for entry in registry.entries()] == ["1"]


def test_a_rollback_counts_though_its_tag_was_removed_until_the_version_is_champion_again(registry: Registry) -> None:
    move(registry, "1")
    move(registry, "2")
    back(registry, "1")
    registry.versions.delete_tag("2", ROLLED_BACK)

    told = registry.rolled_back("1")  # the hash of version 2
    back(registry, "2")

    assert told is not None
    assert (told[0], told[1].endswith("by ada: complaints")) == ("2", True)
    assert registry.rolled_back("1") is None
    assert (registry.rolled_back("0") or "")[0] == "1"
    assert registry.rolled_back("another", [registry.version("2"), registry.version("3")]) is None


def test_a_rollback_counts_though_the_version_was_deleted_and_not_for_another_model_of_its_number(
    registry: Registry,
) -> None:
    move(registry, "1")
    move(registry, "3")
    back(registry, "1")
    client(registry).delete_model_version("case", "3")

    assert (registry.rolled_back("2") or "")[0] == "3"
    assert registry.rolled_back("new", [RegisteredVersion("3", {MODEL_HASH: "new"}, "")]) is None


def test_a_file_that_is_gone_or_another_one_is_no_model(registry: Registry) -> None:
    move(registry, "1")
    registry.tag("2", {MODEL_HASH: hash_bytes(model())})

    assert registry.model("2") == model()
    with pytest.raises(RegistryError, match=rf"the champion case:1 is damaged, its file is not the model.*{WAYS_OUT}"):
        registry.model("1")
    with pytest.raises(RegistryError, match=r"the version case:9 is damaged, its file cannot be read \(case has no"):
        registry.model("9")


def test_nothing_is_known_of_a_model_that_nobody_registered(home: Path) -> None:
    registry = Tracking().registry("case")

    registry.recover()

    assert registry.entries() == []
    assert registry.with_alias("champion") is None


def test_a_long_reason_is_cut_to_what_postgresql_keeps_of_a_tag(registry: Registry) -> None:
    registry.move("promoted", "1", by="b", reason="x" * 9000, run="r", figures={})

    tags = client(registry).get_registered_model("case").tags
    assert max(map(len, tags.values())) < 5000
    assert registry.entries()[0].reason.endswith("x…")


def _promote(version: str, ready: Any, order: Any) -> None:
    ready.wait()
    with Tracking().promotion("case") as registry:
        order.put(len(registry.history.entries()))
        move(registry, version)


@pytest.mark.slow
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
