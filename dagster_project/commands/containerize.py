"""`sextant containerize`."""

import os
import sys
import tempfile

import click


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("use_case")
@click.option("--backend", default="docker", show_default=True, help="docker, podman, buildah, … as BentoML names them.")
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def containerize(use_case: str, backend: str, options: tuple[str, ...]) -> None:
    """Make an image of the newest Bento of USE_CASE, or of `USE_CASE:VERSION`, as `bentoml containerize` does.

    OPTIONS are BentoML's, such as `--image-tag` and `--opt build-arg=BASE=…`.
    """
    from resources.bentos import BentoError, BentoStore

    name, _, version = use_case.partition(":")
    store = BentoStore()
    try:
        tag = f"{name}:{store.bundle(name, version or None).parents[1].name}"
    except BentoError as error:
        raise click.ClickException(str(error)) from error
    # The format of Docker alone has a health check, and podman's default is another one.
    healthy = ["--opt", "format=docker"] if backend in ("podman", "buildah") else []
    os.environ["BENTOML_HOME"] = str(store.folder())
    os.chdir(tempfile.gettempdir())  # BentoML finds the template there, and only from there; -P: no module is
    command = [sys.executable, "-P", "-m", "bentoml", "containerize", tag, "--backend", backend, *healthy, *options]
    os.execv(sys.executable, command)
