"""`sextant containerize`."""

import os
import sys
import tempfile

import click


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("use_case")
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
@click.option(
    "--backend", default="docker", show_default=True, help="docker, podman, buildah, … as BentoML names them."
)
@click.option("--version", help="The version of the model; the newest that has a Bento if absent.")
def containerize(use_case: str, options: tuple[str, ...], backend: str, version: str | None) -> None:
    """Make an image of USE_CASE's Bento, as `bentoml containerize` does.

    OPTIONS are BentoML's, such as `--image-tag` and `--opt build-arg=BASE=…`.
    """
    from dagster_project.runs.launch import check_name
    from resources.bentos import BentoError, BentoStore

    store = BentoStore()
    try:
        tag = f"{use_case}:{store.bundle(use_case, version).parents[1].name}"
    except BentoError as error:
        check_name(use_case)
        raise click.ClickException(str(error)) from error
    # The format of Docker alone has a health check, and podman's default is another one.
    healthy = ["--opt", "format=docker"] if backend in ("podman", "buildah") else []
    os.environ["BENTOML_HOME"] = str(store.folder())
    os.chdir(tempfile.gettempdir())  # BentoML finds the template there, and only from there; -P: no module is
    command = [sys.executable, "-P", "-m", "bentoml", "containerize", tag, "--backend", backend, *healthy, *options]
    os.execv(sys.executable, command)
