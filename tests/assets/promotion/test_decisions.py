"""What people decide: approvals with a reason, rollbacks that are verified first, dry runs; and the history of it."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import dagster as dg
import pytest
from click.testing import CliRunner

from assets.promotion.champion import EVALUATED, GOLDEN, ProductionModel
from dagster_project.commands.main import main
from dagster_project.results.locate import locate
from dagster_project.runs.decisions import former
from dagster_project.runs.outcome import Outcome
from ml.base.hashing import hash_bytes
from ml.evaluation.record import Serving
from ml.exported.onnx import annotated
from resources.bentos import BentoStore
from resources.storage import Storage, find
from resources.tracking.registry import MODEL_HASH, ROLLED_BACK
from resources.tracking.runs import tracking
from tests.support.dated import OTHER, PRODUCTION, Dated, frame
from tests.support.edited import in_home
from tests.support.small import asked, copy_home, failure

REQUIRED: dict[str, Any] = {**OTHER, "production": {"approval": "required"}}
ANOTHER: dict[str, Any] = {"models": {"logistic": {"trials": 1, "search": {"C": 0.5}}}}  # with answers of its own
pytestmark = pytest.mark.slow
DECISION = {"reason": "the report looks good", "by": "ada"}


def value(asset: str) -> Any:
    with dg.DagsterInstance.get() as instance:
        return Storage().load(find(instance, dg.AssetKey(["small", asset])))


def aliases() -> dict[str, str]:
    found = tracking().client().get_registered_model("small").aliases
    return {name: str(version) for name, version in found.items()}


def shown(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    made = [event.materialization for event in result.get_asset_materialization_events()]
    metadata = next(each.metadata for each in made if each.asset_key.path[-1] == PRODUCTION)
    return {name: each.value for name, each in metadata.items()}


def versions() -> list[str]:
    return sorted(str(each.version) for each in tracking().client().search_model_versions("name = 'small'"))


def moves() -> list[tuple[str, str, str | None]]:
    return [(entry.action, entry.version, entry.former) for entry in tracking().registry("small").entries()]


@pytest.fixture(scope="module")
def homes(promoted: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Make homes to be copied: one in which version 2 waits, one in which it is champion and has made predictions."""
    folder = tmp_path_factory.mktemp("decided")
    made = {name: folder / name for name in ("waiting", "second")}
    with pytest.MonkeyPatch.context() as patch:
        for name, home in made.items():
            copy_home(promoted / "home", home)
            in_home(home, patch)
            case = Dated(home, promoted / "rows.csv")
            case.use(frame())
            changes, until = (REQUIRED, PRODUCTION) if name == "waiting" else (OTHER, "predictions")
            assert case.attempt(until, upstream=True, **changes).success
    return made


@pytest.fixture
def waiting(case: Dated, homes: dict[str, Path]) -> Dated:
    """With a version 2 that waits for its approval."""
    copy_home(homes["waiting"], case.home)
    return case


@pytest.fixture
def second(case: Dated, homes: dict[str, Path]) -> Dated:
    """With version 2 as champion and predictions of it."""
    copy_home(homes["second"], case.home)
    assert set(value("predictions")["model_version"]) == {"2"}
    return case


def test_a_candidate_that_needs_approval_waits_and_is_promoted_by_it(case: Dated) -> None:
    for _ in range(2):  # a second retrain registers nothing
        waiting = case.retrain(**REQUIRED)
        assert waiting.success
    production: ProductionModel = value(PRODUCTION)

    assert (production.version, aliases(), versions()) == ("1", {"champion": "1", "challenger": "2"}, ["1", "2"])
    assert "version 2 waits as the challenger: sextant approve small 2 --reason …" in shown(waiting)["outcome"]
    assert locate("small:1", tracking())["id"] == production.coordinates

    approved = case.attempt(PRODUCTION, config=asked(approve="2"), **REQUIRED)

    assert approved.success
    assert aliases() == {"champion": "2", "previous": "1"}
    assert moves() == [("promoted", "1", None), ("approved", "2", "1")]
    entry = tracking().registry("small").entries()[-1]
    assert (entry.by, entry.reason) == ("ada", "the report looks good")
    assert entry.figures["roc_auc"] == pytest.approx(value("evaluation").metrics["roc_auc"])
    tags = tracking().registry("small").version("2").tags
    assert (tags["sextant.approved_by"], tags["sextant.approved_reason"]) == ("ada", "the report looks good")
    assert "ada" in shown(approved)["history"]
    assert locate("small:2", tracking())["id"] == value(PRODUCTION).coordinates


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"approve": "2", "by": "ada"}, "nothing was moved: approve needs reason, not blank"),
        ({"approve": "2", "by": "ada", "reason": " "}, "nothing was moved: approve needs reason, not blank"),
        ({"approve": "2", "reason": "good"}, "nothing was moved: approve needs by, not blank"),
        ({"approve": "2", **DECISION, "champion": ""}, "nothing was moved: approve needs champion, not blank"),
        ({"approve": "2", **DECISION, "evaluation": ""}, "nothing was moved: approve needs evaluation, not blank"),
        ({"rollback": "1", **DECISION, "champion": ""}, "nothing was moved: rollback needs champion, not blank"),
        ({"retire": "1", **DECISION, "champion": ""}, "nothing was moved: retire needs champion, not blank"),
        ({"retire": "9", **DECISION}, "nothing was moved: version 9 is not the champion; 1 is"),
        ({"rollback": "1", "by": "ada"}, "nothing was moved: rollback needs reason, not blank"),
        ({"approve": "2", "rollback": "1", **DECISION}, "must name approve or rollback"),
        (DECISION, "must name approve or rollback"),
        ({"approve": "2", **DECISION}, "version 2 does not wait for an approval; none does"),
        ({"rollback": "9", **DECISION}, "small has no version '9'; there are [1]"),
    ],
)
def test_a_decision_that_lacks_something_moves_nothing(case: Dated, config: dict[str, str], reason: str) -> None:
    about = asked()
    result = case.attempt(PRODUCTION, config={name: about[name] for name in ("champion", "evaluation")} | config)

    assert reason in failure(result)
    assert (aliases(), moves()) == ({"champion": "1"}, [("promoted", "1", None)])


def test_a_dry_run_registers_and_moves_nothing_and_says_what_it_would_do(case: Dated) -> None:
    result = case.retrain(**OTHER, production={"dry_run": True})

    assert shown(result)["outcome"] == (
        "dry run: every gate passed, and the candidate would become the champion; version 1 stays champion"
    )
    assert (aliases(), versions(), value(PRODUCTION).version) == ({"champion": "1"}, ["1"], "1")


def forget(home: Path) -> None:
    """As if no model had ever been promoted."""
    tracking().client().delete_registered_model("small")
    (home / "coordinates" / "latest" / "small" / f"{PRODUCTION}.json").unlink()


def test_the_first_candidate_waits_too_and_nothing_is_made_of_it(case: Dated) -> None:
    forget(case.home)
    until = ("predictions",)

    waiting = case.attempt(*until, upstream=True, production={"approval": "required"})

    assert waiting.success
    made = {event.materialization.asset_key.path[-1] for event in waiting.get_asset_materialization_events()}
    assert "evaluation" in made
    assert not {PRODUCTION, "predictions"} & made
    assert aliases() == {"challenger": "1"}

    assert case.attempt(PRODUCTION, "predictions", config=asked(approve="1")).success

    assert aliases() == {"champion": "1"}
    assert set(value("predictions")["model_version"]) == {"1"}


def test_an_approval_goes_by_the_evaluation_that_is_as_declared_be_it_an_older_one(case: Dated) -> None:
    evaluation = case.declared()["evaluation"]
    for slice_rows in (30, 40, 30):
        assert case.retrain(**REQUIRED, evaluation={**evaluation, "slice_rows": slice_rows}).success

    approved = case.attempt(PRODUCTION, config=asked(approve="2"), **REQUIRED)

    assert approved.success
    assert aliases() == {"champion": "2", "previous": "1"}


def test_an_approval_goes_by_the_latest_evaluation_of_the_waiting_model(
    waiting: Dated, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("assets.stages.evaluation.serving_of", lambda *_: Serving(latency_ms=1e3, size_mb=1, parity=0))
        assert waiting.attempt("evaluation", reuse="never", **REQUIRED).success
    assert waiting.attempt("evaluation", upstream=True, **ANOTHER).success

    refused = waiting.attempt(PRODUCTION, config=asked(approve="2"), **REQUIRED)

    assert "Refused by the gate latency: the median time for one row is 1e+03 ms" in failure(refused)
    assert aliases() == {"champion": "1", "challenger": "2"}

    assert waiting.attempt("onnx_model", upstream=True, **REQUIRED).success
    assert waiting.attempt("evaluation", reuse="never", **REQUIRED).success  # measured again
    assert waiting.retrain(**REQUIRED).success
    assert waiting.attempt(PRODUCTION, config=asked(approve="2"), **REQUIRED).success
    evaluated = json.loads(tracking().registry("small").version("2").tags[EVALUATED])
    assert evaluated["coordinates"] == value("evaluation").coordinates


def seeded(refit_seeds: int) -> dict[str, Any]:
    """A declaration of which the number of seeds changes the bytes of the model and none of its answers."""
    return {**REQUIRED, "models": {"logistic": {"trials": 2, "refit_seeds": refit_seeds}}}


def test_a_candidate_that_answers_as_a_version_does_is_that_version_and_its_evaluation_counts(case: Dated) -> None:
    candidates = [seeded(1), seeded(2), {**REQUIRED, **ANOTHER}, seeded(3)]

    waiting = [shown(case.retrain(**candidate))["outcome"] for candidate in candidates]

    assert [text.partition(": ")[0] for text in waiting] == [
        "every gate passed, and version 2 waits as the challenger",
        "every gate passed, and the candidate gives the same answers as version 2, which waits for approval",
        "every gate passed, and version 3 waits as the challenger",
        "every gate passed, and the candidate gives the same answers as version 2, which waits for approval",
    ]
    assert waiting[-1].endswith(": sextant approve small 2 --reason …; version 1 stays champion")
    assert (aliases(), versions()) == ({"champion": "1", "challenger": "2"}, ["1", "2", "3"])
    assert hash_bytes(value("onnx_model")) != tracking().registry("small").version("2").tags[MODEL_HASH]

    approved = case.attempt(PRODUCTION, config=asked(approve="2"), **seeded(3))

    assert approved.success
    assert moves() == [("promoted", "1", None), ("approved", "2", "1")]
    evaluated = json.loads(tracking().registry("small").version("2").tags[EVALUATED])
    assert evaluated["coordinates"] == value("evaluation").coordinates


def test_a_version_that_waits_is_promoted_once_no_approval_is_needed_by_whatever_answers_as_it_does(
    waiting: Dated,
) -> None:
    assert waiting.retrain(**{**seeded(2), "production": {}}).success

    assert (aliases(), versions()) == ({"champion": "2", "previous": "1"}, ["1", "2"])


@pytest.mark.parametrize(
    ("registered", "reason"),
    [
        (True, "nothing is known of an evaluation of version 2"),
        (False, "version 2 is not the model that was registered"),
    ],
)
def test_a_version_that_was_made_the_challenger_by_hand_is_not_approved(
    case: Dated, registered: bool, reason: str
) -> None:
    registry, other = tracking().registry("small"), annotated(value("onnx_model"), {"made": "by hand"})
    with tracking().run("small", "by hand", {}) as run:
        registry.register(run, other, {MODEL_HASH: hash_bytes(other)} if registered else {})
    registry.challenge("2")

    result = case.attempt(PRODUCTION, config=asked(approve="2"), **REQUIRED)

    assert f"nothing was moved: {reason}" in failure(result)
    assert aliases() == {"champion": "1", "challenger": "2"}


def test_an_approval_counts_for_the_champion_that_the_candidate_was_compared_with(waiting: Dated) -> None:
    assert waiting.retrain(**ANOTHER).success

    result = waiting.attempt(PRODUCTION, config=asked(approve="2"), **REQUIRED)

    assert "the champion has changed since the evaluation, from version 1 to 3" in failure(result)
    assert aliases()["champion"] == "3"


def test_a_rollback_reaches_the_predictions_and_is_not_undone_by_the_next_retrain(second: Dated) -> None:
    back = second.attempt(PRODUCTION, "predictions", config=asked(rollback="1"), **OTHER)

    assert back.success
    assert aliases() == {"champion": "1", "previous": "2"}
    assert shown(back)["difference on golden rows"] == 0.0
    assert set(value("predictions")["model_version"]) == {"1"}
    assert locate("small:1", tracking())["id"] == value(PRODUCTION).coordinates

    again = second.retrain(**OTHER)

    assert "this model is version 2, which was rolled back on " in failure(again)
    assert "by ada: the report looks good" in failure(again)
    assert aliases()["champion"] == "1"

    forth = second.attempt(PRODUCTION, config=asked(rollback="2"), **OTHER)

    assert forth.success
    assert moves()[1:] == [("promoted", "2", "1"), ("rolled back", "1", "2"), ("rolled back", "2", "1")]
    assert second.retrain(**OTHER).success


def test_a_rollback_is_not_undone_by_the_same_model_trained_again_but_new_data_make_another_one(second: Dated) -> None:
    assert second.attempt(PRODUCTION, config=asked(rollback="1"), **OTHER).success

    again = second.retrain(**OTHER, reuse="never")

    assert hash_bytes(value("onnx_model")) != tracking().registry("small").version("2").tags[MODEL_HASH]
    assert "this model is version 2, which was rolled back on " in failure(again)
    assert (aliases()["champion"], versions()) == ("1", ["1", "2"])

    second.use(frame().assign(x_a=lambda rows: rows["x_a"] + 1))
    assert second.retrain(**OTHER).success

    assert (aliases(), versions()) == ({"champion": "3", "previous": "1"}, ["1", "2", "3"])


@pytest.mark.parametrize("damage", [lambda file: file.write_bytes(b"x"), lambda file: file.unlink()])
def test_a_waiting_version_whose_file_is_damaged_or_gone_is_registered_again_once(waiting: Dated, damage: Any) -> None:
    damage(artifact("2", "model.onnx"))

    for refit_seeds in (2, 3):
        assert waiting.retrain(**seeded(refit_seeds)).success

    assert (aliases(), versions()) == ({"champion": "1", "challenger": "3"}, ["1", "2", "3"])
    assert waiting.attempt(PRODUCTION, config=asked(approve="3"), **REQUIRED).success


class Command:
    """A command of the terminal, whose run is made in this process."""

    def __init__(self, case: Dated, patch: pytest.MonkeyPatch, **changes: Any) -> None:
        def execute(use_case: str, job: str, *, config: Any, meanwhile: Any) -> Outcome:
            done = case.attempt(PRODUCTION, config=config, **changes)
            return Outcome(done.success, done.run_id, Path("log"))

        patch.setattr("dagster_project.runs.decisions.execute", execute)
        for module in ("decisions", "launch"):
            patch.setattr(f"dagster_project.runs.{module}.check_name", lambda use_case: None)

    def __call__(self, *words: str) -> tuple[int, str]:
        """How it ended, and its last line."""
        done = CliRunner().invoke(main, [*words, "--reason", "the report looks good", "--by", "ada"])
        return done.exit_code, done.output.strip().splitlines()[-1]


def test_a_command_says_what_came_of_it_and_fails_where_nothing_was_moved(
    waiting: Dated, monkeypatch: pytest.MonkeyPatch
) -> None:
    dry = Command(waiting, monkeypatch, **OTHER, production={"approval": "required", "dry_run": True})

    assert dry("approve", "small", "2") == (
        1,
        "Error: nothing was moved: dry run: version 2 would become the champion; version 1 stays champion",
    )
    assert aliases() == {"champion": "1", "challenger": "2"}

    strict = Command(waiting, monkeypatch, **{**REQUIRED, "gates": {"roc_auc": {"at_least": 0.99999}}})
    assert strict("approve", "small", "2") == (1, "Error: version 1 is the champion; the run's log is log")
    assert aliases() == {"champion": "1", "challenger": "2"}

    approve = Command(waiting, monkeypatch, **REQUIRED)
    assert approve("approve", "small", "2") == (
        0,
        "version 2 is the champion; sextant serve small serves its Bento",
    )
    dry = Command(waiting, monkeypatch, **OTHER, production={"dry_run": True})
    assert dry("rollback", "small") == (
        1,
        "Error: nothing was moved: dry run: version 1 would become the champion; version 2 stays champion",
    )
    assert aliases() == {"champion": "2", "previous": "1"}


def test_a_command_says_so_where_there_is_no_champion_yet(case: Dated, monkeypatch: pytest.MonkeyPatch) -> None:
    forget(case.home)
    assert case.attempt(PRODUCTION, upstream=True, production={"approval": "required"}).success

    dry = Command(case, monkeypatch, production={"approval": "required", "dry_run": True})

    assert dry("approve", "small", "1") == (
        1,
        "Error: nothing was moved: dry run: version 1 would become the champion; there is no champion yet",
    )


def artifact(version: str, name: str) -> Path:
    source = tracking().client().get_model_version_download_uri("small", version)
    return Path(source.removeprefix("file://")) / name


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("model.onnx", lambda content: content[:-1] + b"x", "version 1 is damaged: its file is not the model"),
        (
            GOLDEN,
            lambda content: content.replace(b'"scores": [', b'"scores": [0.123, '),
            "were answered with the shape",
        ),
        (GOLDEN, lambda content: content.replace(b"0.9", b"0.1"), "golden rows are answered with a difference of"),
        (GOLDEN, None, "small version 1: golden.json cannot be read"),
    ],
)
def test_a_version_that_does_not_answer_as_it_did_does_not_come_back(
    second: Dated, name: str, change: Any, reason: str
) -> None:
    file = artifact("1", name)
    before = file.read_bytes()
    try:
        file.write_bytes(change(before)) if change else file.unlink()
        result = second.attempt(PRODUCTION, config=asked(rollback="1"), **OTHER)
    finally:
        file.write_bytes(before)

    assert reason in failure(result)
    assert (aliases(), len(moves())) == ({"champion": "2", "previous": "1"}, 2)


@pytest.mark.parametrize("itself", [False, True])
def test_a_candidate_is_not_compared_with_a_damaged_champion(case: Dated, itself: bool) -> None:
    changes = {"evaluation": {**case.declared()["evaluation"], "slice_rows": 40}} if itself else OTHER
    file = artifact("1", "model.onnx")
    before = file.read_bytes()
    try:
        file.write_bytes(before[:-1] + b"x")
        result = case.attempt("evaluation", upstream=True, **changes)
    finally:
        file.write_bytes(before)

    assert "the champion small:1 is damaged, its file is not the model that was registered" in failure(result)


def test_a_version_that_never_passed_its_gates_is_no_goal_of_a_rollback(waiting: Dated) -> None:
    result = waiting.attempt(PRODUCTION, config=asked(rollback="2"), **REQUIRED)

    assert "version 2 was never promoted; those that were: 1" in failure(result)
    assert aliases()["champion"] == "1"


def test_without_a_goal_a_rollback_goes_to_the_version_before(second: Dated) -> None:
    registry = tracking().registry("small")
    assert former(registry) == "1"
    assert second.attempt(PRODUCTION, config=asked(rollback="1"), **OTHER).success

    with pytest.raises(click.ClickException, match="no champion is known from before version 1"):
        former(registry)


def test_where_there_is_no_champion_a_rollback_needs_a_goal(stocked_home: Path) -> None:
    with pytest.raises(click.ClickException, match="small has no champion to go back from; name a version with --to"):
        former(tracking().registry("small"))


def test_the_history_is_told_with_the_latest_first(second: Dated, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dagster_project.runs.launch.check_name", lambda use_case: None)

    lines = CliRunner().invoke(main, ["history", "small"]).output.splitlines()

    assert "version 2 promoted instead of 1 by the gates" in lines[0]
    assert lines[1].startswith("    every gate passed: roc_auc is")
    assert "roc_auc = 0." in lines[2]
    assert lines[3].endswith("version 1 promoted by the gates")


@pytest.mark.parametrize("command", [["approve", "small", "2"], ["rollback", "small"]])
def test_a_command_without_a_reason_is_refused_before_anything_runs(home: Path, command: list[str]) -> None:
    without = CliRunner().invoke(main, command)
    blank = CliRunner().invoke(main, [*command, "--reason", "  "])

    assert without.exit_code == blank.exit_code == 2
    assert "--reason" in without.output
    assert "say why; it is kept in the promotion history" in blank.output
    assert not (home / "mlflow").exists()


# With these the champion refuses what it could be compared with: without x_a, the candidate is much worse.
WEAK: dict[str, Any] = {"features": {"only": ["g", "x_b"]}, "gates": {"champion": {"not_worse_by": 0.01}}}
WAYS_OUT = ("sextant rollback small --to VERSION --reason …", "sextant retire small --reason …")


def test_a_deleted_alias_lets_no_worse_model_in_and_is_restored(case: Dated) -> None:
    tracking().client().delete_registered_model_alias("small", "champion")

    result = case.retrain(**WEAK)

    assert "Refused by the gate champion" in failure(result)
    assert (aliases(), moves()) == ({"champion": "1"}, [("promoted", "1", None), ("restored", "1", None)])


@contextmanager
def version_deleted() -> Iterator[None]:
    tracking().client().delete_model_version("small", "1")
    yield


@contextmanager
def model_deleted() -> Iterator[None]:
    tracking().client().delete_registered_model("small")
    yield


@contextmanager
def model_renamed() -> Iterator[None]:
    tracking().client().rename_registered_model("small", "smaller")
    yield


@contextmanager
def files_gone() -> Iterator[None]:
    folder = artifact("1", "model.onnx").parent  # all copies of the home share it
    aside = folder.rename(folder.with_name("aside"))
    try:
        yield
    finally:
        aside.rename(folder)


@pytest.mark.parametrize("lost", [version_deleted, model_deleted, model_renamed, files_gone])
def test_without_its_champion_nothing_is_promoted_until_that_is_retired(
    case: Dated, lost: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with lost():
        _lost_and_retired(case, Command(case, monkeypatch, **WEAK))


def _lost_and_retired(case: Dated, retire: "Command") -> None:
    evaluated, promoted = case.attempt("evaluation", upstream=True, **WEAK), case.attempt(PRODUCTION, **WEAK)
    told = CliRunner().invoke(main, ["history", "small"]).output.splitlines()[0]
    retired = retire("retire", "small")
    after = case.retrain(**WEAK)

    for refused in (failure(evaluated), failure(promoted), told):
        assert all(way in refused for way in WAYS_OUT), refused
    assert retired == (0, "small has no champion; the next candidate that passes its gates becomes it")
    assert after.success
    assert case.champion() is not None
    retirement = next(entry for entry in tracking().registry("small").entries() if entry.action == "retired")
    assert (retirement.version, retirement.by, retirement.reason) == ("1", "ada", "the report looks good")
    assert hash_bytes(value("onnx_model")) == tracking().registry("small").champion().tags[MODEL_HASH]  # type: ignore[union-attr]


def test_a_deleted_champion_may_be_gone_back_from(second: Dated) -> None:
    tracking().client().delete_model_version("small", "2")

    assert second.attempt(PRODUCTION, config=asked(rollback="1"), **OTHER).success

    assert aliases()["champion"] == "1"
    assert [entry.action for entry in tracking().registry("small").entries()][2:] == ["deleted by hand", "rolled back"]


def test_a_deleted_experiment_is_restored(case: Dated) -> None:
    client = tracking().client()
    experiment = client.get_experiment_by_name("small")
    assert experiment is not None
    client.delete_experiment(experiment.experiment_id)

    assert case.retrain(**OTHER).success

    assert client.get_experiment(experiment.experiment_id).lifecycle_stage == "active"
    assert aliases() == {"champion": "2", "previous": "1"}


def test_a_decision_is_refused_if_the_champion_is_another_one_than_it_was_asked_about(second: Dated) -> None:
    assert second.retrain(**{**ANOTHER, "production": {"approval": "required"}}).success
    registry = tracking().registry("small")
    asked_while_2_is_champion = asked(rollback=former(registry)), asked(retire="2"), asked(approve="3")
    assert second.attempt(PRODUCTION, config=asked(approve="3"), **ANOTHER).success

    rolled_back, retired, approved = (
        second.attempt(PRODUCTION, config=config, **ANOTHER) for config in asked_while_2_is_champion
    )

    assert approved.success  # it is what was asked for already
    now = registry.version("3").tags[MODEL_HASH]
    for action, result in (("rollback", rolled_back), ("retire", retired)):
        then = registry.version("2").tags[MODEL_HASH]
        assert f"{action} was asked while {then} was the champion, and now version 3 is, {now}" in failure(result)
    assert aliases() == {"champion": "3", "previous": "2"}
    assert not any(ROLLED_BACK in registry.version(number).tags for number in "123")
    assert second.attempt(PRODUCTION, config=asked(rollback="2", champion=now[:12]), **ANOTHER).success


def test_an_approval_is_refused_if_the_model_was_evaluated_again_since_it_was_asked(case: Dated) -> None:
    assert case.retrain(**REQUIRED).success
    before = asked(approve="2")
    assert case.attempt("evaluation", reuse="never", **REQUIRED).success

    result = case.attempt(PRODUCTION, config=before, **REQUIRED)

    latest = value("evaluation").coordinates
    assert f"version 2 now has another one, {latest}; read its report, and ask again" in failure(result)
    assert aliases() == {"champion": "1", "challenger": "2"}


def test_how_a_candidate_is_approved_is_no_part_of_its_coordinates(case: Dated) -> None:
    assert case.retrain(production={"approval": "required"}).success

    assert (aliases(), versions()) == ({"champion": "1"}, ["1"])  # the very same model came out


def test_a_rollback_puts_the_bento_of_that_version_first_again(case: Dated) -> None:
    everything = ("predictions", "bento")
    assert case.attempt(*everything, upstream=True).success
    assert case.attempt(*everything, upstream=True, **OTHER).success
    assert {tag.partition("-")[0] for tag in BentoStore().first()} == {"small:2"}

    down = (PRODUCTION, "online_state", *everything)
    assert case.attempt(*down, config=asked(rollback="1"), **OTHER).success

    assert {tag.partition("-")[0] for tag in BentoStore().first()} == {"small:1"}

    gone = next(iter((BentoStore().folder() / "bentos" / "small").glob("2-*")))
    shutil.rmtree(gone)
    assert case.attempt(*down, config=asked(rollback="2"), **OTHER).success

    (first,) = BentoStore().first()
    assert first.startswith("small:2-")
    assert (BentoStore().folder() / "bentos" / first.replace(":", "/")).is_dir()
