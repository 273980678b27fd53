"""What people decide about a champion, from a terminal: to approve, to go back, to look at the history."""

import getpass
import os
from collections.abc import Mapping

import click
import dagster as dg

from dagster_project.commands.launch import Ended, check_declaration, check_name, execute
from resources.tracking.registry import APPROVED, CHAMPION, PROMOTED, Registry
from resources.tracking.runs import tracking


def approve(use_case: str, version: str, reason: str, by: str | None) -> None:
    """Makes the waiting version the champion through `production_model`, and makes its Bento and predictions."""
    _decide(use_case, {"approve": version, "reason": reason, "by": _who(by)})


def rollback(use_case: str, to: str | None, reason: str, by: str | None) -> None:
    """Makes an earlier champion the champion again, by default the one before the current one."""
    check_name(use_case)
    version = to or former(tracking().registry(use_case))
    _decide(use_case, {"rollback": version, "reason": reason, "by": _who(by)})


def former(registry: Registry) -> str:
    """The version that the champion was promoted instead of."""
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


def history(use_case: str) -> str:
    """The promotion history as text, the latest first."""
    check_name(use_case)
    entries = tracking().registry(use_case).entries()
    if not entries:
        return f"no model of {use_case} was promoted yet"
    lines = []
    for entry in reversed(entries):
        told = entry.row()
        instead = f" instead of {entry.former}" if entry.former else ""
        lines.append(f"{told['when (UTC)']}  version {entry.version} {entry.action}{instead} by {entry.by}")
        lines += [f"    {text}" for text in (entry.reason, told["figures"]) if text]
    return "\n".join(lines)


def _decide(use_case: str, config: Mapping[str, str]) -> None:
    check_name(use_case)
    what = next(iter(config))
    click.echo(f"{what} of version {config[what]} of {use_case}, by {config['by']}")
    ended = execute(use_case, "production", config=config, meanwhile=lambda: check_declaration(use_case))
    champion = tracking().version(use_case, CHAMPION)
    if not ended.succeeded:
        raise click.ClickException(_failed(ended, champion, config[what]))
    if champion != config[what]:
        raise click.ClickException(f"nothing was moved: {_outcome(use_case, ended)}")
    click.echo(f"version {champion} is the champion; sextant serve {use_case} serves its Bento")


def _outcome(use_case: str, ended: Ended) -> str:
    """What `production_model` said in a run that went well and moved nothing, as a dry run does."""
    key = dg.AssetKey([use_case, "production_model"])
    with dg.DagsterInstance.get() as instance:
        pages = instance.fetch_materializations(key, limit=1), instance.fetch_observations(key, limit=1)
    for record in (record for page in pages for record in page.records if record.run_id == ended.run_id):
        event = record.asset_materialization or record.asset_observation
        if event is not None and "outcome" in event.metadata:
            return str(event.metadata["outcome"].value)
    return f"another version is the champion; the run's log is {ended.log}"


def _failed(ended: Ended, champion: str | None, wanted: str) -> str:
    stays = f"version {champion} is the champion" if champion else "there is no champion"
    if champion == wanted:
        return f"{stays}, but its Bento or its predictions were not made; run the command again. Its log is {ended.log}"
    return f"{stays}; the run's log is {ended.log}"


def _who(by: str | None) -> str:
    """The user of the operating system, unless somebody is named."""
    try:
        return by or getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"
