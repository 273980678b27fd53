"""The command `sextant`."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import click

from dagster_project.commands.decisions import approve, history, rollback

BIN = Path(sys.executable).parent


@click.group()
def main() -> None:
    """Find any result, run the pipelines, serve the models."""
    from dagster_project.location.instance import prepare
    from resources.home import keep_to_home

    prepare()
    keep_to_home()


def _limit_pools() -> None:
    import dagster as dg

    from dagster_project.location.pools import limit_pools
    from resources.gpu.pool import GpuPool

    with dg.DagsterInstance.get() as instance:
        limit_pools(instance, GpuPool())


@main.command()
def init() -> None:
    """Prepare $SEXTANT_HOME and a .env here, with which plain `dg` commands keep their state there too."""
    from dagster_project.location.instance import write_env

    _limit_pools()
    click.echo(f"all state lies in {os.environ['SEXTANT_HOME']} (said by {write_env(Path.cwd())})")


@main.command()
@click.argument("thing")
@click.option("--json", "as_json", is_flag=True, help="All of it as JSON.")
def locate(thing: str, as_json: bool) -> None:
    """Print where THING came from: its coordinates, what it was made from, what was made from it, and links.

    THING is a coordinates id, an asset key, an MLflow run's id or URL, a model (case@champion, case:3), a Bento tag, or
    a file: report, plot, model or table.
    """
    from dagster_project.results.locate import NotFoundError, described
    from dagster_project.results.locate import locate as find
    from resources.ledger import Ledger
    from resources.tracking.runs import tracking

    ledger = Ledger()
    try:
        found = find(thing, tracking(), ledger)
    except NotFoundError as error:
        raise click.ClickException(str(error)) from error
    click.echo(json.dumps(found, indent=1, sort_keys=True) if as_json else described(found, tracking(), ledger))


@main.command()
@click.argument("first")
@click.argument("second")
def diff(first: str, second: str) -> None:
    """Print what differs between two results: data, code, config, environment, seed, and what came of it.

    FIRST and SECOND are what `locate` takes.
    """
    from dagster_project.results.diff import diff as lines
    from dagster_project.results.locate import NotFoundError, locate
    from resources.ledger import Ledger, LedgerError
    from resources.storage import StorageError
    from resources.tracking.runs import tracking

    ledger = Ledger()
    try:
        ids = [str(locate(thing, tracking(), ledger)["id"]) for thing in (first, second)]
        for line in lines(ledger, *ids):
            click.echo(line)
    except (NotFoundError, LedgerError, StorageError) as error:
        raise click.ClickException(str(error)) from error


@main.command()
@click.argument("thing")
@click.option("--scratch", type=click.Path(path_type=Path), help="Keep the scratch home in this new folder.")
@click.option("--rebuild-env", is_flag=True, help="Make the recorded environment first.")
@click.option("--json", "json_only", is_flag=True, help="The table as JSON.")
def reproduce(thing: str, scratch: Path | None, rebuild_env: bool, json_only: bool) -> None:
    """Make THING again from its coordinates alone, and compare asset by asset.

    THING is what `locate` takes; of a Bento it is the model. The exit status is 0 only if everything agrees.
    """
    from contextlib import ExitStack
    from tempfile import TemporaryDirectory

    from dagster_project.results.locate import NotFoundError, locate
    from dagster_project.results.reproduce import ReproduceError, as_json, as_text, differences, explained, rebuilt
    from dagster_project.results.reproduce import reproduce as run
    from resources.ledger import Ledger
    from resources.tracking.runs import tracking

    ledger = Ledger()
    with ExitStack() as stack:
        try:
            found = locate(thing, tracking(), ledger)
            if scratch is None:
                scratch = Path(stack.enter_context(TemporaryDirectory(prefix="sextant-")))
            elif scratch.exists():
                raise click.ClickException(f"{scratch} exists; name a new folder")
            scratch.mkdir(parents=True, exist_ok=True)
            changed = [] if rebuild_env else differences(found["environment"])
            for difference in changed[:10]:
                click.echo(f"warning: this environment is not the recorded one: {difference}", err=True)
            if found["code"]["dirty"]:
                click.echo("note: it was made from a dirty tree; the archived source is used, not the commit", err=True)
            python = rebuilt(found["environment"], scratch) if rebuild_env else sys.executable
            rows = run(ledger, found["id"], scratch, lambda line: click.echo(line, err=True), python)
        except (NotFoundError, ReproduceError) as error:
            raise click.ClickException(str(error)) from error
    click.echo(as_json(rows) if json_only else as_text(rows))
    if reason := explained(ledger, rows):
        click.echo(reason, err=True)
        raise SystemExit(1)


@main.command()
@click.option("--older-than", default="30d", show_default=True, help="The age from which results may go: 12h, 30d.")
@click.option("--dry-run", is_flag=True, help="Only list what would be removed, with sizes.")
def gc(older_than: str, dry_run: bool) -> None:
    """Remove results, source archives, Bentos and studies that nothing needs any longer.

    Needed are: what an asset shows as its latest, every model that was ever promoted or has an alias, every result
    younger than the given age, and all that these were made from. Coordinates themselves are never removed.
    """
    from dagster_project.results.gc import RunsUnderWayError, as_text, garbage, remove
    from ml.declaration.part import duration
    from resources.bentos import BentoStore
    from resources.ledger import Ledger
    from resources.storage import Storage
    from resources.studies import studies
    from resources.tracking.runs import tracking

    try:
        age = duration(older_than)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--older-than") from error
    storage = Storage(url=os.environ.get("SEXTANT_STORAGE_URL", ""))
    found = garbage(Ledger(), storage, BentoStore(), tracking(), studies(), age)
    if not dry_run:
        try:
            remove(found, studies())
        except RunsUnderWayError as error:
            raise click.ClickException(str(error)) from error
    click.echo(as_text(found) + (" would be removed" if dry_run else " removed"))


@main.command()
@click.argument("use_case")
@click.option("--port", default=3001, show_default=True)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--wait", is_flag=True, help="Wait for the first Bento instead of failing where there is none.")
def serve(use_case: str, port: int, host: str, wait: bool) -> None:
    """Serve the newest Bento of USE_CASE."""
    from resources.bentos import BentoStore

    store = BentoStore().folder()
    latest = store / "bentos" / use_case / "latest"
    if not latest.exists():
        reason = f"{use_case!r} has no Bento yet: materialize {use_case}/bento first"
        if not wait:
            raise click.ClickException(reason)
        click.echo(f"{reason}; waiting for it in {latest.parent}")
        while not latest.exists():
            time.sleep(1)
    tag = f"{use_case}:{latest.read_text().strip()}"
    os.environ["BENTOML_HOME"] = str(store)
    command = [sys.executable, "-m", "bentoml", "serve", tag, "--host", host, "--port", str(port)]
    os.execv(sys.executable, command)


@main.command()
@click.option("--port", default=3000, show_default=True, help="Of the Dagster UI.")
@click.option("--mlflow-port", default=5000, show_default=True, help="Of the MLflow UI.")
def dev(port: int, mlflow_port: int) -> None:
    """Run the Dagster UI, its daemon and the MLflow UI until one of them ends."""
    for name, number in {"--port": port, "--mlflow-port": mlflow_port}.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", number))
            except OSError as error:
                raise click.ClickException(f"port {number} is in use; choose another one with {name}") from error
    os.environ |= {
        "SEXTANT_DAGSTER_UI": f"http://127.0.0.1:{port}",
        "SEXTANT_MLFLOW_UI": f"http://127.0.0.1:{mlflow_port}",
    }
    from resources.bentos import stop
    from resources.tracking.runs import tracking

    _limit_pools()
    tracking().client()  # two processes that open an empty database at once would race
    store = tracking().tracking_uri()
    commands = [
        [str(BIN / "dg"), "dev", "--no-check-yaml", "--host", "127.0.0.1", "--port", str(port)],
        [str(BIN / "mlflow"), "server", "--backend-store-uri", store, "--port", str(mlflow_port)],
    ]
    # Both signals end it and all that it starts, even where a shell in the background has told it to ignore one.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    click.echo(f"Dagster UI: http://127.0.0.1:{port}    MLflow UI: http://127.0.0.1:{mlflow_port}    Ctrl-C ends both")
    processes = [subprocess.Popen(command, start_new_session=True) for command in commands]
    try:
        os.wait()
    except KeyboardInterrupt:
        pass
    finally:
        for process in processes:
            stop(process)


@main.command()
@click.argument("use_case")
@click.option("--bad", is_flag=True, help="Retrain with a deliberately bad declaration: the gates must refuse it.")
def demo(use_case: str, bad: bool) -> None:
    """Materialize all of USE_CASE, start its Bento, ask it, and say what came out."""
    if bad:
        from dagster_project.commands.demo_bad import run
    else:
        from dagster_project.commands.demo import run

    run(use_case)


for command in (approve, rollback, history):
    main.add_command(command)
