import re
import socket
from pathlib import Path

import yaml
from click.testing import CliRunner

from dagster_project.commands.dev import MLFLOW_SETTINGS, mlflow_command
from dagster_project.commands.main import main
from resources.home import QUIET

ROOT = Path(__file__).parents[3]
DEPLOYED = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["mlflow"]


def test_a_port_that_is_in_use_is_named_with_its_option(home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])

        ended = CliRunner().invoke(main, ["dev", "--mlflow-port", port, "--port", "0"])

    assert ended.exit_code == 1
    assert ended.output == f"Error: port {port} is in use; choose another one with --mlflow-port\n"


def test_mlflow_is_started_as_in_the_deployment() -> None:
    """But for where it stores what, and on which address: one worker, and no host names but its own."""
    here = {option.partition("=")[0]: option.partition("=")[2] for option in mlflow_command("sqlite:///x", 5000)[2:]}
    there = {option.partition("=")[0]: option.partition("=")[2] for option in DEPLOYED["command"] if "--" in option[:2]}
    settings = {name: value for name, value in DEPLOYED["environment"].items() if name.startswith("MLFLOW")}

    assert settings == MLFLOW_SETTINGS
    assert here["--workers"] == there["--workers"]
    assert set(here["--allowed-hosts"].split(",")) == set(there["--allowed-hosts"].split(",")) - {"mlflow:5000"}


def test_no_library_reports_to_its_maker_here_or_in_the_deployment() -> None:
    image = dict(re.findall(r"(\w+)=(\S+)", (ROOT / "deploy" / "Dockerfile").read_text()))

    for name in ("DO_NOT_TRACK", "MLFLOW_DISABLE_TELEMETRY", "ORT_DISABLE_TELEMETRY"):
        assert image[name] == QUIET[name]
