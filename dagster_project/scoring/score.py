"""Scoring: the rows of files through a served predictor, with their keys, into one output."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from dagster_project.scoring.files import told_by_folders
from dagster_project.scoring.inputs import InputError, Part, Tell, Wanted, parts
from dagster_project.scoring.output import writing
from ml.base.keys import named_apart
from ml.declaration.sources.options import FileOptions
from ml.provenance.stamp import KEY
from service.frames.answers import ROWS, RowsError, answer, answer_schema
from service.history.places import events_place
from service.http.served import Served
from service.predict.predictor import Predictor

ROW, REFUSED = "row", "refused"


@dataclass
class Scored:
    """The outcome of a scoring: numbers of rows, and the seconds that it took."""

    rows: int = 0
    warned: int = 0
    refused: int = 0
    without_key: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        """Say it in a line."""
        rest = {"with warnings": self.warned, "refused": self.refused, "without a key": self.without_key}
        more = "".join(f", {count:,} {what}" for what, count in rest.items() if count)
        return f"{self.rows:,} rows in {self.seconds:.1f} s{more}"


def load(bundle: Path) -> Predictor:
    """Load the predictor of a bundle as a served Bento does, with the events that $SEXTANT_EVENTS keeps for it.

    Raises BundleError or EventLogError where it cannot be loaded, and RuntimeError where it is not ready to answer.
    """
    served = Served()
    served.load(bundle, events_place())
    if served.not_ready is not None:
        raise RuntimeError(f"{bundle} is not ready: {served.not_ready}")
    return served.require_predictor()


def written_as(use_case: str) -> FileOptions | None:
    """Return how the files of a use case's examples are written, by its declaration; None where they are no files.

    Raises BrokenUseCaseError for a declaration that cannot be read.
    """
    from dagster_project.definitions import CONFIGS
    from dagster_project.location.loading import load_declaration

    if not (CONFIGS / use_case / "defs.yaml").is_file():
        return None
    declared = load_declaration(CONFIGS / use_case)
    source = declared.tables[declared.examples.table].source
    return source if isinstance(source, FileOptions) else None


def as_of(predictor: Predictor, moment: str) -> dict[str, str]:
    """Return the column that says when rows are asked about, with one time for all: `now`, or as ISO 8601 has it.

    Raises InputError where no time matters, or each row has its own.
    """
    name, cutoff = predictor.plan.use_case, predictor.plan.cutoff
    if cutoff is None:
        raise InputError(f"--as-of: no time matters to the model of {name}; leave it out")
    if cutoff.before_s:
        raise InputError(
            f"--as-of: the model of {name} is asked {cutoff.before_s:g} s before {cutoff.column}, of which each row "
            "has its own; give the files that column"
        )
    now = datetime.now(UTC).replace(tzinfo=None).isoformat()
    return {cutoff.column: now if moment == "now" else moment}


def score(
    predictor: Predictor,
    files: Sequence[str],
    out: str,
    tell: Tell,
    *,
    lenient: bool = False,
    fixed: Mapping[str, str] | None = None,
    options: FileOptions | None = None,
) -> Scored:
    """Answer all rows of some files in their order, and write the answers; whatever stops it, there is no output.

    `lenient` leaves rows that cannot be answered without an answer, and says why in a column of its own. `fixed` are
    values that rows have where a file has no such column, as are those that its folders tell; `options` say how files
    are written. Raises InputError for a file, OutputError for the output, and RowsError for rows.
    """
    scored, begun, schema = Scored(), time.monotonic(), None
    with writing(out, {KEY: predictor.id, "sextant.model": predictor.name}) as writer:
        for file in files:
            values = {**(fixed or {}), **told_by_folders(file, predictor.plan)}
            wanted = Wanted(predictor.plan, predictor.model.keys, ROWS, _about(file, tell), values, options)
            for start, part in _numbered(parts(file, wanted)):
                try:
                    table = _answered(predictor, part, start, scored, lenient)
                except RowsError as error:
                    raise type(error)(error.source, start, where=file) from None
                schema = schema or table.schema
                writer.write(_alike(table, schema, file))
        if schema is None:
            writer.write(_answered(predictor, Part([], {}), 1, scored, lenient))
    scored.seconds = time.monotonic() - begun
    return scored


def _numbered(some: Iterator[Part]) -> Iterator[tuple[int, Part]]:
    """Yield parts of a file, each with the number of its first row, of which the file's first one is 1."""
    start = 1
    for part in some:
        yield start, part
        start += len(part.records)


def _about(file: str, tell: Tell) -> Tell:
    return lambda text: tell(f"{file}: {text}")


def _answered(predictor: Predictor, part: Part, start: int, scored: Scored, lenient: bool) -> pa.Table:
    """Return the answers to a part, with its keys, and count it."""
    columns = _names(predictor, part, scored)
    answers, reasons = _answers(predictor, part, start, lenient)
    for name, values in zip(answers.schema.names, answers.columns, strict=True):
        columns[name] = values
    if lenient:
        columns[REFUSED] = pa.array(reasons, pa.string())
    for name, text in {"model": predictor.name, "coordinates": predictor.id}.items():
        columns[name] = pa.array([text] * len(part.records), pa.string())
    scored.rows += len(part.records)
    scored.warned += sum(map(bool, answers["warnings"].to_pylist()))
    scored.refused += sum(reason is not None for reason in reasons)
    return pa.table(columns)


def _names(predictor: Predictor, part: Part, scored: Scored) -> dict[str, pa.Array]:
    """Return the columns that name the rows: their key, or else their number among all."""
    if not part.keys:
        return {ROW: pa.array(range(scored.rows + 1, scored.rows + 1 + len(part.records)), pa.int64())}
    scored.without_key += max((values.null_count for values in part.keys.values()), default=0)
    answered = answer_schema(predictor.plan.task, predictor.thresholds, predictor.model.interval)
    taken = {*answered.names, REFUSED, "model", "coordinates"}
    names = named_apart(list(part.keys), taken)
    return {names[key]: values for key, values in part.keys.items()}


def _answers(predictor: Predictor, part: Part, start: int, lenient: bool) -> tuple[pa.Table, list[str | None]]:
    """Return the answers to a part, and for each row why it has none; without `lenient` such a row raises RowsError."""
    reasons: list[str | None] = [None] * len(part.records)
    try:
        return answer(predictor, part.records, start), reasons
    except RowsError as error:
        if not lenient:
            raise
        for problem in error.problems:
            place = f"column {problem.field!r}: " if problem.field else ""
            reasons[problem.record] = reasons[problem.record] or f"{place}{problem.error}"
    sound = [index for index, reason in enumerate(reasons) if reason is None]
    places = dict(zip(sound, range(len(sound)), strict=True))
    answers = answer(predictor, [part.records[index] for index in sound], start)
    return answers.take(pa.array([places.get(index) for index in range(len(reasons))], pa.int64())), reasons


def _alike(table: pa.Table, schema: pa.Schema, file: str) -> pa.Table:
    """Return answers with the columns of the first ones; raise InputError where their key is another, or of a type."""
    if table.schema.names != schema.names:
        keys = [[name for name in one.names if name not in ("score", "warnings")][:1] for one in (schema, table.schema)]
        raise InputError(f"{file}: its rows are named by {keys[1]}, and those before by {keys[0]}; make them alike")
    try:
        return table.cast(schema)
    except (pa.ArrowException, ValueError) as error:
        raise InputError(f"{file}: its key has values of another type than the rows before: {error}") from error
