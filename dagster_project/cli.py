"""The command `sextant`."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import click

BIN = Path(sys.executable).parent


@click.group()
def main() -> None:
    """Find any result, run the pipelines, serve the models."""
    from dagster_project.instance import prepare

    prepare()


@main.command()
@click.argument("thing")
@click.option("--json", "as_json", is_flag=True, help="All of it as JSON.")
def locate(thing: str, as_json: bool) -> None:
    """Print the coordinates of THING: an asset key, MLflow run, model version, Bento tag or coordinates id."""
    from dagster_project.definitions import tracking
    from dagster_project.locate import NotFoundError
    from dagster_project.locate import locate as find

    try:
        found = find(thing, tracking())
    except NotFoundError as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(json.dumps(found, indent=1, sort_keys=True))
        return
    environment = found["environment"]
    lines = {
        "id": found["id"],
        "data": ", ".join(f"{name} {content[:12]}" for name, content in found["data"].items()) or "a source",
        "code": f"source {found['code']['source'][:12]}, commit {str(found['code']['commit'])[:12]}"
        + (" (dirty)" if found["code"]["dirty"] else ""),
        "config": found["config"]["hash"][:12],
        "environment": f"{environment['id']}: Python {environment['python']}, {environment['processor']}, "
        f"{len(environment['distributions'])} distributions",
        "run": ", ".join(f"{name} {value}" for name, value in found["run"].items()),
        "seed": found["seed"],
    }
    for name, value in lines.items():
        click.echo(f"{name:<12} {value}")


@main.command()
@click.argument("use_case")
@click.option("--port", default=3001, show_default=True)
@click.option("--host", default="127.0.0.1", show_default=True)
def serve(use_case: str, port: int, host: str) -> None:
    """Serve the newest Bento of USE_CASE."""
    from resources.bentos import BentoStore

    store = BentoStore().folder()
    latest = store / "bentos" / use_case / "latest"
    if not latest.exists():
        raise click.ClickException(f"{use_case!r} has no Bento yet: materialize {use_case}/bento first")
    tag = f"{use_case}:{latest.read_text().strip()}"
    os.environ |= {"BENTOML_HOME": str(store), "BENTOML_DO_NOT_TRACK": "True"}
    command = [sys.executable, "-m", "bentoml", "serve", tag, "--host", host, "--port", str(port)]
    os.execv(sys.executable, command)


@main.command()
def dev() -> None:
    """Run the Dagster UI (port 3000) and the MLflow UI (port 5000) until one of them ends."""
    from dagster_project.definitions import tracking

    tracking().client()
    commands = [
        [str(BIN / "dg"), "dev", "--port", "3000"],
        [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", tracking().tracking_uri(), "--port", "5000"],
    ]
    processes = [subprocess.Popen(command) for command in commands]
    try:
        os.wait()
    except KeyboardInterrupt:
        pass
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
        for process in processes:
            process.wait()


@main.command()
@click.argument("use_case")
def demo(use_case: str) -> None:
    """Materialize all of USE_CASE, start its Bento, ask it, and say what came out."""
    from dagster_project.demo import run

    run(use_case)
