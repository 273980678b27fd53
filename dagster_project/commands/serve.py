"""`sextant serve`."""

import ipaddress
import os
import socket
import sys
import time
from pathlib import Path

import click

FOLLOW_S = 5


@click.command()
@click.argument("use_case")
@click.option("--port", type=click.IntRange(1, 65_535), default=3001, show_default=True)
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="The address to listen on; 0.0.0.0 is all of them."
)
@click.option(
    "--workers",
    type=click.IntRange(1, 1_000),
    default=1,
    envvar="SEXTANT_WORKERS",
    show_default=True,
    help="Processes that answer.",
)
@click.option("--tag", help="Serve this Bento, such as 3-1f3a or flight_delays:3-1f3a, instead of the newest.")
@click.option(
    "--events", metavar="FOLDER|URL", help="Where accepted events are kept, and read again at the next start."
)
@click.option("--follow", is_flag=True, help="Serve what USE_CASE is promoted to from then on, without a restart.")
@click.option("--wait", is_flag=True, help="Wait for the first Bento instead of failing where there is none.")
def serve(
    use_case: str,
    port: int,
    host: str,
    workers: int,
    tag: str | None,
    events: str | None,
    follow: bool,
    wait: bool,
) -> None:
    """Serve the newest Bento of USE_CASE.

    The options are the settings BENTOML_HOME, SEXTANT_WORKERS, SEXTANT_EVENTS and SEXTANT_FOLLOW of `bentoml serve`;
    other settings of a service are taken from the environment.
    """
    from resources.bentos import BentoStore

    if tag is not None and follow:
        raise click.UsageError("--tag serves one Bento for good, and --follow another one after each promotion: choose")
    store = BentoStore().folder()
    served = _newest(store, use_case, wait) if tag is None else _exact(store, use_case, tag)
    settings = {"BENTOML_HOME": str(store), "SEXTANT_WORKERS": str(workers)}
    if events is not None:
        settings["SEXTANT_EVENTS"] = _kept(events)
    if follow:
        seconds = os.environ.get("SEXTANT_FOLLOW", "")
        settings["SEXTANT_FOLLOW"] = str(FOLLOW_S) if seconds in ("", "0") else seconds
    if tag is not None:
        settings["SEXTANT_FOLLOW"] = ""
    _require_free(host, port)
    os.environ.update(settings)
    command = [sys.executable, "-m", "bentoml", "serve", served, "--host", host, "--port", str(port)]
    os.execv(sys.executable, command)


def _newest(store: Path, use_case: str, wait: bool) -> str:
    """Return the tag of the Bento that is served when none is named; raise ClickException if there is none."""
    latest = store / "bentos" / use_case / "latest"
    if not latest.exists():
        others = sorted(path.parent.name for path in store.glob("bentos/*/latest"))
        reason = f"{use_case!r} has no Bento yet: materialize {use_case}/bento first"
        if not wait:
            raise click.ClickException(f"{reason}; {store} has those of {', '.join(others)}" if others else reason)
        click.echo(f"{reason}; waiting for it in {latest.parent}")
        while not latest.exists():
            time.sleep(1)
    return f"{use_case}:{latest.read_text().strip()}"


def _exact(store: Path, use_case: str, tag: str) -> str:
    """Return the whole tag of a Bento; raise ClickException if the store has none of it."""
    folder = store / "bentos" / use_case
    versions = sorted(file.parent.name for file in folder.glob("*/bento.yaml"))
    version = tag.removeprefix(f"{use_case}:")
    if version not in versions:
        there = f"there are {', '.join(versions)}" if versions else "there is none"
        raise click.BadParameter(f"{tag!r} is no Bento of {use_case!r} in {folder}; {there}", param_hint="--tag")
    return f"{use_case}:{version}"


def _kept(events: str) -> str:
    """Return where events are kept, as the service takes it; raise ClickException if it is no folder that is there."""
    if "://" in events:
        return events
    folder = Path(events).expanduser().absolute()
    if not folder.is_dir():
        what = "no folder" if folder.exists() else "not there: make it first"
        raise click.BadParameter(f"{folder} is {what}", param_hint="--events")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise click.BadParameter(f"{folder} cannot be written", param_hint="--events")
    return str(folder)


def _require_free(host: str, port: int) -> None:
    """Raise ClickException unless a service could listen there; BentoML would try, fail and try again for ever."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise click.BadParameter(f"{host!r} is no address, such as 127.0.0.1", param_hint="--host") from None
    with socket.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise click.ClickException(f"cannot listen on port {port} of {host}: {error.strerror}") from None
