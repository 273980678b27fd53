"""Decisions of people about a champion: approve, roll back, retire, as a run of the job `<use case>_production`."""

import getpass
import os
from collections.abc import Mapping

import click
import dagster as dg

from assets.promotion.requests import Action, name_of
from dagster_project.runs.launch import check_declaration, check_name, execute
from dagster_project.runs.outcome import Outcome
from resources.ledger import Ledger
from resources.tracking.history import APPROVED, PROMOTED
from resources.tracking.registry import CHAMPION, Registry
from resources.tracking.runs import tracking


def decide(action: Action, use_case: str, version: str | None, reason: str, by: str | None) -> None:
    """Decide about a champion through `production_model`, and make Bento and predictions of the one that there is then.

    An absent version is, of a rollback, the one before the current champion, and of a retirement that champion; without
    `by`, the user of the operating system decides. The run is told which champion this is about, and refuses if it has
    changed by then. Raises ClickException if another version is the champion afterwards, or the run fails.
    """
    check_name(use_case)
    registry = tracking().registry(use_case)
    about = name_of(registry.standing())  # before the version is looked up, that depends on it
    version = version or (former(registry) if action == "rollback" else current(registry))
    decider = by or _user()
    click.echo(f"{action} of version {version} of {use_case}, by {decider}")
    config = {action: version, "champion": about, "reason": reason, "by": decider, **_evaluated(action, use_case)}
    outcome = execute(use_case, "production", config=config, meanwhile=lambda: check_declaration(use_case))
    champion, wanted = tracking().version(use_case, CHAMPION), None if action == "retire" else version
    if not outcome.succeeded:
        raise click.ClickException(_failure(outcome, champion, wanted, _again(action, use_case, version)))
    if champion != wanted:
        raise click.ClickException(f"nothing was moved: {_why_nothing_moved(use_case, outcome)}")
    if wanted is None:
        click.echo(f"{use_case} has no champion; the next candidate that passes its gates becomes it")
    else:
        click.echo(f"version {champion} is the champion; sextant serve {use_case} serves its Bento")


def current(registry: Registry) -> str:
    """Return the version that is the champion, be it lost; raise ClickException where there is none."""
    standing = registry.standing()
    if standing is None:
        raise click.ClickException(f"{registry.name} has no champion")
    return standing.version


def former(registry: Registry) -> str:
    """Return the version that the champion was promoted instead of; raise ClickException where none is recorded."""
    standing = registry.standing()
    if standing is None:
        raise click.ClickException(f"{registry.name} has no champion to go back from; name a version with --to")
    champion = standing.version
    moves = [entry for entry in registry.entries() if entry.action in (PROMOTED, APPROVED)]
    before = [entry.former for entry in moves if entry.version == champion]
    if not before or before[-1] is None:
        raise click.ClickException(
            f"no champion is known from before version {champion}; name a version with --to, or be without a champion: "
            f"sextant retire {registry.name} --reason …"
        )
    return before[-1]


def _evaluated(action: Action, use_case: str) -> Mapping[str, str]:
    """Return the latest evaluation, by which whoever approves goes."""
    return {"evaluation": Ledger().latest(asset=f"{use_case}/evaluation") or "none"} if action == "approve" else {}


def _again(action: Action, use_case: str, version: str) -> str:
    """Return the command that does the same once more, whatever the champion is by now."""
    target = {"approve": f" {version}", "rollback": f" --to {version}", "retire": ""}[action]
    return f"sextant {action} {use_case}{target} --reason …"


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


def _failure(outcome: Outcome, champion: str | None, wanted: str | None, again: str) -> str:
    state = f"version {champion} is the champion" if champion else "there is no champion"
    if champion is not None and champion == wanted:
        return f"{state}, but its Bento or its predictions were not made; run {again}. Its log is {outcome.log}"
    return f"{state}; the run's log is {outcome.log}"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"
