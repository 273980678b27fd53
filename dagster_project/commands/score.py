"""`sextant score`."""

import os
import signal
import sys

import click


@click.command()
@click.argument("use_case")
@click.argument("files", nargs=-1, required=True)
@click.option("--out", default="-", show_default=True, help="A .parquet or .csv file; - is CSV on the standard output.")
@click.option("--replace", is_flag=True, help="Write over a file that is there.")
@click.option("--as-of", help="When rows are asked about whose file has no column for it: now, or an ISO 8601 time.")
@click.option("--lenient", is_flag=True, help="Leave rows that cannot be answered without an answer, and say why.")
def score(use_case: str, files: tuple[str, ...], out: str, replace: bool, as_of: str | None, lenient: bool) -> None:
    """Answer the rows of FILES, which need no target, as the newest Bento of USE_CASE does.

    FILES are .csv, .parquet, .xlsx, .json or .jsonl, here or at any URL, or patterns of such; - is the standard input.
    They are read and answered in parts, so that they may be larger than the memory. The output has the key of each row
    or its number, the answer with its decision, warnings, and the coordinates of the model; a file is there whole or
    not at all.
    """
    from dagster_project.location.loading import BrokenUseCaseError
    from dagster_project.runs.launch import check_name
    from dagster_project.scoring import score as scoring
    from dagster_project.scoring.files import STDIN, PatternError, matching
    from dagster_project.scoring.inputs import InputError
    from dagster_project.scoring.output import OutputError, check_place
    from resources.bentos import BentoError, BentoStore
    from service.frames.answers import RowsError
    from service.history.store import EventLogError
    from service.plan.document import BundleError

    def tell(text: str) -> None:
        click.echo(text, err=True)

    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, signal.default_int_handler)  # so that nothing is left beside the output
    name, _, version = use_case.partition(":")
    try:
        files = tuple(file for pattern in files for file in matching(pattern))
        if files.count(STDIN) > 1:
            raise PatternError("the standard input can be read once: name - once")
        check_place(out, files, replace)
        bundle = BentoStore().bundle(name, version or None)
    except PatternError as error:
        raise click.BadParameter(str(error), param_hint="FILES") from error
    except OutputError as error:
        raise click.BadParameter(str(error), param_hint="--out") from error
    except BentoError as error:
        check_name(name)
        raise click.ClickException(str(error)) from error
    try:
        options = scoring.written_as(name)
        predictor = scoring.load(bundle)
        tell(f"model {predictor.name}, coordinates {predictor.id}")
        fixed = scoring.as_of(predictor, as_of) if as_of else {}
        for column, moment in fixed.items():
            tell(f"asked about as of {moment}, where a file has no {column}")
        done = scoring.score(predictor, files, out, tell, lenient=lenient, fixed=fixed, options=options)
    except BrokenPipeError:  # whoever reads the output has enough of it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except (
        BrokenUseCaseError,
        BundleError,
        EventLogError,
        InputError,
        OutputError,
        RowsError,
        RuntimeError,
        OSError,
    ) as error:
        raise click.ClickException(str(error)) from error
    tell(str(done))
