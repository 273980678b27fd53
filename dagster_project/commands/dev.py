"""`sextant dev`."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import click

BIN = Path(sys.executable).parent
MLFLOW_SETTINGS = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # eight processes, to evaluate traces: there are none


@click.command()
@click.option("--port", default=3000, show_default=True, help="Of the Dagster UI.")
@click.option("--mlflow-port", default=5000, show_default=True, help="Of the MLflow UI.")
def dev(port: int, mlflow_port: int) -> None:
    """Run the Dagster UI, its daemon and the MLflow UI until one of them ends."""
    _check_free({"--port": port, "--mlflow-port": mlflow_port})
    os.environ |= {
        "SEXTANT_DAGSTER_UI": f"http://127.0.0.1:{port}",
        "SEXTANT_MLFLOW_UI": f"http://127.0.0.1:{mlflow_port}",
        **MLFLOW_SETTINGS,
    }
    import dagster as dg

    from dagster_project.location.pools import limit_own_pools
    from dagster_project.location.reaper import reap
    from ml.base.processes import tied
    from resources.bentos import stop
    from resources.tracking.runs import tracking

    limit_own_pools()
    with dg.DagsterInstance.get() as instance:
        for line in reap(instance):
            click.echo(line)
    tracking().client()  # two processes that open an empty database at once would race
    # Both signals end it and all that it starts, even where a shell in the background has told it to ignore one.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    click.echo(f"Dagster UI: http://127.0.0.1:{port}    MLflow UI: http://127.0.0.1:{mlflow_port}    Ctrl-C ends both")
    commands = dagster_command(port), mlflow_command(tracking().tracking_uri(), mlflow_port)
    processes = [subprocess.Popen(tied(command), start_new_session=True) for command in commands]
    try:
        os.wait()
    except KeyboardInterrupt:
        pass
    finally:
        for process in processes:
            stop(process)


def dagster_command(port: int) -> list[str]:
    """Return the command that starts Dagster's webserver and daemon."""
    return [str(BIN / "dg"), "dev", "--no-check-yaml", "--host", "127.0.0.1", "--port", str(port)]


def mlflow_command(store: str, port: int) -> list[str]:
    """Return the command that starts MLflow's server as docker-compose.yml does: one worker, no foreign host names."""
    return [
        *(str(BIN / "mlflow"), "server", "--host=127.0.0.1", f"--port={port}", "--workers=1"),
        *(f"--backend-store-uri={store}", f"--allowed-hosts=localhost:{port},127.0.0.1:{port}"),
    ]


def _check_free(ports: Mapping[str, int]) -> None:
    """Raise ClickException, which names the option, if something listens at a port."""
    for option, port in ports.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                raise click.ClickException(f"port {port} is in use; choose another one with {option}") from error
