"""The documentation: its links, its pictures and every command in it."""

import json
import re
import shlex
import subprocess
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from dagster_dg_cli.cli import create_dg_cli as dg_cli
from dagster_dg_cli.cli.scaffold.defs import scaffold_defs_group
from pydantic import TypeAdapter

from dagster_project.commands.main import main
from ml.declaration.features import Features
from ml.declaration.gate_kinds.catalogue import KINDS
from ml.declaration.gate_kinds.champion import MARGIN, MARGIN_OF_ERRORS
from ml.declaration.gate_kinds.plausible import LIMITS
from ml.declaration.gate_kinds.slices import SLICE_MARGIN, SLICE_MARGIN_OF_ERRORS
from ml.declaration.gates import Gates
from ml.declaration.models import Models
from ml.declaration.production import Production
from ml.declaration.search import Tuning
from ml.declaration.sources.catalogue import Source
from ml.declaration.tables import Examples
from ml.declaration.use_case import Retrain
from ml.evaluation.record import Evaluation
from ml.models.catalogue import family
from ml.search.space import Space
from ml.tasks.metrics import DEFAULT_METRIC, metrics_of
from service.plan.document import Task
from service.predict import answers

ROOT = Path(__file__).parents[2]
PROGRAMS: dict[str, Callable[[], click.Command]] = {
    ".venv/bin/sextant": lambda: main,
    ".venv/bin/dg": dg_cli,
    ".venv/bin/bentoml": lambda: EntryPoint("bentoml", "bentoml_cli.cli:cli", "console_scripts").load(),
}
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def commands() -> list[str]:
    """Every line of every shell block, without its comment and with continued lines joined."""
    blocks = [block for page in PAGES for block in re.findall(r"```sh\n(.*?)```", page.read_text(), re.S)]
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    lines = [re.sub(r" +# .*|^([A-Z_]+=\S+ )+", "", line).strip() for line in lines]
    return sorted({line for line in lines if re.match(r"(make|\.venv/bin/|docker compose) ?", line)})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_pictures_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)\)", page.read_text())

    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_a_heading_lead_to_one(page: Path) -> None:
    lost = []
    for target, heading in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", page.read_text()):
        text = re.sub(r"```.*?```", "", (page.parent / target if target else page).read_text(), flags=re.S)
        titles = [re.sub(r"[^\w\- ]", "", title).lower() for title in re.findall(r"^#+ (.+)$", text, re.M)]
        if heading not in [title.replace(" ", "-") for title in titles]:
            lost.append(f"{target}#{heading}")

    assert lost == []


@pytest.mark.parametrize("command", [line for line in commands() if line.startswith("make")])
def test_a_make_target_exists(command: str) -> None:
    done = subprocess.run(["make", "--dry-run", *command.split()[1:]], cwd=ROOT, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", [line for line in commands() if line.startswith(".venv/bin/")])
def test_a_command_and_its_options_exist(command: str) -> None:
    program, *arguments = shlex.split(command, comments=True)
    group: click.Command = PROGRAMS[program]()
    context = click.Context(group)

    # Below `scaffold defs` come the registered components, which a test of their own scaffolds.
    while isinstance(group, click.Group) and group.callback is not scaffold_defs_group.callback:
        found = group.get_command(context, arguments.pop(0))
        assert found is not None, command
        group = found

    known = {option for parameter in group.params for option in parameter.opts}
    assert {word for word in arguments if word.startswith("-")} <= known


def test_the_pieces_of_declarations_are_valid() -> None:
    text = (ROOT / "docs" / "use_case.md").read_text()
    inline = dict(re.findall(r"`(history|calendar|selection|champion): (\{.*?\})`", text))

    Features.model_validate({name: yaml.safe_load(inline[name]) for name in ("history", "calendar", "selection")})
    Gates.model_validate({"champion": yaml.safe_load(inline["champion"])})
    for source in re.findall(r"\| `(\{.*?\})` \|$", text, re.M):
        TypeAdapter(Source).validate_python(yaml.safe_load(source))
    retrain = re.search(r"```yaml\nretrain: (.*)\n```", (ROOT / "docs" / "retrain.md").read_text())
    assert retrain is not None
    Retrain.model_validate(yaml.safe_load(retrain[1]))
    assert "cutoff" in Examples.model_fields


def test_the_targets_of_the_documentation_can_be_declared_and_are_answered_so() -> None:
    text, served = ((ROOT / "docs" / page).read_text() for page in ("use_case.md", "serve.md"))
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", text, re.S)]
    (declared,) = (block["examples"] for block in blocks if isinstance(block.get("examples", {}).get("target"), list))
    (written,) = (answer for answer in re.findall(r"```json\n(.*?)```", served, re.S) if "decisions" in answer)

    targets, answer = tuple(Examples.model_validate(declared).targets), json.loads(written)
    named = re.search(r"by name, as `(\{.*?\})`", text)

    about = {name: answer.pop(name) for name in ("model", "coordinates", "id", "warnings")}
    cuts = list(answer["thresholds"].values())
    assert answer == answers.one(Task(several=targets), list(answer["probabilities"].values()), cuts)
    assert about["warnings"] == []
    assert named is not None
    assert Examples.model_validate({**declared, "target": yaml.safe_load(named[1])}).targets.keys() == {"churn", "late"}


def test_the_metrics_of_each_task_are_listed_with_the_default_first() -> None:
    text = (ROOT / "docs" / "use_case.md").read_text()

    listed = {kind: re.findall(r"`([\w.]+)`", row) for kind, row in re.findall(r"^\| `(\w+)`.*\|(.*)\|$", text, re.M)}

    for kind, default in DEFAULT_METRIC.items():
        assert listed[kind][0] == default
        assert sorted(listed[kind]) == sorted(metrics_of(kind))


def test_the_search_of_the_documentation_can_be_declared() -> None:
    text = (ROOT / "docs" / "models.md").read_text()
    block = next(each for each in re.findall(r"```yaml\n(.*?)```", text, re.S) if "tuning:" in each)

    declared = yaml.safe_load(block)

    Tuning.model_validate(declared["tuning"])
    for name, each in Models.model_validate(declared["models"]).families.items():
        Space(family(name), each.space)


def test_the_record_of_the_documentation_is_json() -> None:
    text = (ROOT / "docs" / "serve.md").read_text()

    record = re.search(r"-d '(\{.*?\})'", text, re.S)

    assert record is not None
    assert json.loads(record[1])["carrier"] == "ZZ"


def test_the_gates_of_the_documentation_can_be_declared_and_have_the_defaults_that_it_says() -> None:
    text = (ROOT / "docs" / "gates.md").read_text()
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", text, re.S)]
    listed = dict(re.findall(r"^\| `(\w+)` \|.*\|(.*)\|$", text, re.M))

    for block in blocks:
        Gates.model_validate(block.get("gates", {}))
        Production.model_validate(block.get("production", {}))
    on = Gates()
    assert set(listed) == {kind.name for kind in KINDS}
    for limits in LIMITS.values():
        assert all(f"`{metric}` {limit:g}" in listed["plausible"] for metric, limit in limits.items())
    assert f"at least {on.plausible.rows} test rows" in listed["plausible"]
    assert on.latency is not None
    assert f"{on.latency.at_most_ms:g} ms" in listed["latency"]
    assert on.size is not None
    assert f"{on.size.at_most_mb:g} MB" in listed["size"]
    assert on.slices is not None
    assert f"worse by more than {SLICE_MARGIN:g} (or {SLICE_MARGIN_OF_ERRORS})" in listed["slices"]
    assert f"at least {on.slices.rows} rows" in listed["slices"]
    assert f"at most {MARGIN:g} worse" in listed["champion"]
    assert f"{MARGIN_OF_ERRORS} of the champion's value" in listed["champion"]


def test_the_gate_of_the_documentation_judges() -> None:
    text = (ROOT / "docs" / "gates.md").read_text()
    code = re.search(r"```python\n(.*?)```", text, re.S)
    assert code is not None
    found: dict[str, Any] = {}
    exec(code[1], found)
    evaluation = Evaluation(model_hash="a", family="f", rows=10, metrics={})

    assert found["enough_test_rows"](evaluation, {"rows": 10}).passed
    assert not found["enough_test_rows"](evaluation, {"rows": 11}).passed
