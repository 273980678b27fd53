"""`sextant serve`."""

import os
import sys
import time

import click


@click.command()
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
