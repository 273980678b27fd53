"""`sextant export`."""

from pathlib import Path

import click


@click.command()
@click.argument("kind", type=click.Choice(["onnx", "triton", "mlserver"]))
@click.argument("use_case")
@click.option("--version", help="The version of the model; the newest that has a Bento if absent.")
@click.option("--to", type=click.Path(path_type=Path), help="A folder that is not there; USE_CASE-KIND if absent.")
def export(kind: str, use_case: str, version: str | None, to: Path | None) -> None:
    """Write the model of USE_CASE's Bento for another server.

    onnx is the file with a page that says how to ask it, triton a model repository of NVIDIA Triton, mlserver a folder
    that `mlserver start` serves, which answers records as the Bento does.
    """
    from dagster_project.exports import mlserver, model_file, triton
    from dagster_project.runs.launch import check_name
    from ml.base.files import scratch_folder
    from resources.bentos import BentoError, BentoStore
    from service.plan.document import BundleError

    target = (to or Path(f"{use_case}-{kind}")).absolute()
    if target.exists():
        raise click.BadParameter(f"{target} is there already; name another folder, or remove it", param_hint="--to")
    try:
        bundle = BentoStore().bundle(use_case, version)
    except BentoError as error:
        check_name(use_case)
        raise click.ClickException(str(error)) from error
    target.parent.mkdir(parents=True, exist_ok=True)
    with scratch_folder(target.parent) as scratch:
        folder = scratch / "export"
        folder.mkdir()
        try:
            place = {"onnx": model_file, "triton": triton, "mlserver": mlserver}[kind].export(bundle, folder)
        except BundleError as error:
            raise click.ClickException(str(error)) from error
        inside = place.relative_to(folder)
        folder.rename(target)
    click.echo(target / inside)
