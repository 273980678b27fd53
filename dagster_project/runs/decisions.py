"""Decisions of people about a champion: an approval or a rollback, as a run of the job `<use case>_production`."""

import getpass
import os
from typing import Literal

import click
import dagster as dg

from dagster_project.runs.launch import check_declaration, check_name, execute
from dagster_project.runs.outcome import Outcome
from resources.tracking.registry import APPROVED, CHAMPION, PROMOTED, Registry
from resources.tracking.runs import tracking


def decide(
    action: Literal["approve", "rollback"], use_case: str, version: str | None, reason: str, by: str | None
) -> None:
    """Make a version the champion through `production_model`, and make its Bento and predictions.

    Without a version it is the one before the current champion; without `by`, the user of the operating system decides.
    Raises ClickException if another version is the champion afterwards, or the run fails.
    """
    check_name(use_case)
    version = version or former(tracking().registry(use_case))
    decider = by or _user()
    click.echo(f"{action} of version {version} of {use_case}, by {decider}")
    config = {action: version, "reason": reason, "by": decider}
    outcome = execute(use_case, "production", config=config, meanwhile=lambda: check_declaration(use_case))
    champion = tracking().version(use_case, CHAMPION)
    if not outcome.succeeded:
        raise click.ClickException(_failure(outcome, champion, version))
    if champion != version:
        raise click.ClickException(f"nothing was moved: {_why_nothing_moved(use_case, outcome)}")
    click.echo(f"version {champion} is the champion; sextant serve {use_case} serves its Bento")


def former(registry: Registry) -> str:
    """Return the version that the champion was promoted instead of; raise ClickException where none is recorded."""
    champion = registry.with_alias(CHAMPION)
    if champion is None:
        raise click.ClickException(f"{registry.name} has no champion")
    moves = [entry for entry in registry.entries() if entry.action in (PROMOTED, APPROVED)]
    before = [entry.former for entry in moves if entry.version == str(champion.version)]
    if not before or before[-1] is None:
        raise click.ClickException(
            f"no champion is known from before version {champion.version}; name a version with --to"
        )
    return before[-1]


def _why_nothing_moved(use_case: str, outcome: Outcome) -> str:
    """Return the words of `production_model` in a run that went well and moved nothing, as a dry run does."""
    key = dg.AssetKey([use_case, "production_model"])
    with dg.DagsterInstance.get() as instance:
        pages = instance.fetch_materializations(key, limit=1), instance.fetch_observations(key, limit=1)
    for record in (record for page in pages for record in page.records if record.run_id == outcome.run_id):
        event = record.asset_materialization or record.asset_observation
        if event is not None and "outcome" in event.metadata:
            return str(event.metadata["outcome"].value)
    return f"another version is the champion; the run's log is {outcome.log}"


def _failure(outcome: Outcome, champion: str | None, wanted: str) -> str:
    state = f"version {champion} is the champion" if champion else "there is no champion"
    if champion == wanted:
        missing = "its Bento or its predictions were not made"
        return f"{state}, but {missing}; run the command again. Its log is {outcome.log}"
    return f"{state}; the run's log is {outcome.log}"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"
