"""The documentation: its links, its pictures and every command in it."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from dagster_project.cli import main
from ml.spec import Examples, Features, Gates, Retrain, Source

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BIN = Path(sys.executable).parent


def commands() -> list[str]:
    """Every line of every shell block, without its comment and with continued lines joined."""
    blocks = [block for page in PAGES for block in re.findall(r"```sh\n(.*?)```", page.read_text(), re.S)]
    lines = [line.split("  #")[0].strip() for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return sorted({line for line in lines if re.match(r"(make|\.venv/bin/|docker compose) ?", line)})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_pictures_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)\)", page.read_text())

    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("command", [line for line in commands() if line.startswith("make")])
def test_a_make_target_exists(command: str) -> None:
    done = subprocess.run(["make", "--dry-run", *command.split()[1:]], cwd=ROOT, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", [line for line in commands() if line.startswith(".venv/bin/")])
def test_a_command_and_its_options_exist(command: str) -> None:
    program, *arguments = shlex.split(command)
    name = program.removeprefix(".venv/bin/")
    words = [word for word in arguments if re.fullmatch(r"[a-z][a-z-]*", word)]
    options = [word for word in arguments if word.startswith("-")]
    if name == "sextant":
        text = CliRunner().invoke(main, [arguments[0], "--help"]).output
    else:
        depth = 2 if words[0] in {"check", "scaffold", "list", "utils"} else 1
        text = subprocess.run([BIN / name, *words[:depth], "--help"], cwd=ROOT, capture_output=True, text=True).stdout

    assert "Usage:" in text
    assert [option for option in options if option not in text] == []


def test_the_pieces_of_declarations_are_valid() -> None:
    text = (ROOT / "docs" / "use_case.md").read_text()
    inline = dict(re.findall(r"`(history|calendar|champion): (\{.*?\})`", text))

    Features.model_validate({name: yaml.safe_load(inline[name]) for name in ("history", "calendar")})
    Gates.model_validate({"champion": yaml.safe_load(inline["champion"])})
    for source in re.findall(r"\| `(\{.*?\})` \|$", text, re.M):
        Source.model_validate(yaml.safe_load(source))
    retrain = re.search(r"```yaml\nretrain: (.*)\n```", (ROOT / "docs" / "retrain.md").read_text())
    assert retrain is not None
    Retrain.model_validate(yaml.safe_load(retrain[1]))
    assert "cutoff" in Examples.model_fields


def test_the_record_of_the_documentation_is_json() -> None:
    text = (ROOT / "docs" / "serve.md").read_text()

    record = re.search(r"-d '(\{.*?\})'", text, re.S)

    assert record is not None
    assert json.loads(record[1])["carrier"] == "ZZ"
