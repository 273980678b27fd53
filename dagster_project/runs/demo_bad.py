"""A deliberately bad candidate, to see the gates refuse it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import yaml

from dagster_project.runs.demo import print_refusal
from dagster_project.runs.launch import check_name, execute
from ml.base.files import scratch_folder
from ml.provenance.source import running
from resources.tracking.runs import tracking

# As after an accident with the declaration: one feature is left, and a single linear model to learn from it.
BAD: dict[str, Mapping[str, Any]] = {
    "flight_delays": {
        "relationships": ["flights.tailnum -> planes.tailnum"],
        "features": {"ignore": ["carrier", "dest", "distance", "flight", "origin", "tailnum"]},
        "models": {"logistic": {"trials": 1}},
    },
}


def demo_bad(use_case: str) -> None:
    """Retrain a use case by a bad declaration, in a copy of the project; raise ClickException unless it is refused."""
    check_name(use_case)
    if use_case not in BAD:
        raise click.ClickException(f"there is no bad declaration of {use_case!r}; there is one of {', '.join(BAD)}")
    before = tracking().version(use_case, "champion")
    if before is None:
        raise click.ClickException(f"{use_case} has no champion to protect; run first: sextant demo {use_case}")
    click.echo(f"retraining {use_case} with {yaml.safe_dump(BAD[use_case], default_flow_style=True).strip()}")
    with scratch_folder() as folder:
        copy_with(folder, use_case, BAD[use_case])
        outcome = execute(use_case, "retrain", project=folder)
    after = tracking().version(use_case, "champion")
    if after != before:
        raise click.ClickException(f"the bad candidate was promoted: version {after} is champion instead of {before}")
    if outcome.refusal is None:
        raise click.ClickException(f"no gate was asked, the run ended before or otherwise; its log is {outcome.log}")
    print_refusal(outcome.refusal)
    click.echo(f"as expected: version {after} is still the champion")


def copy_with(folder: Path, use_case: str, parts: Mapping[str, Any]) -> None:
    """Write the project's source to a folder, with some parts of one declaration replaced."""
    for path, content in running().files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    file = folder / "configs" / use_case / "defs.yaml"
    declared = yaml.safe_load(file.read_text())
    declared["attributes"] |= parts
    file.write_text(yaml.safe_dump(declared))
