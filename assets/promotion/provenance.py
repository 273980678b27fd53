"""The check that a model, the rows that judge it and its evaluation belong together: made of the same, as declared."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from assets import reads
from assets.framework.case import Case
from ml.declaration.reads import Reads, changed
from ml.provenance.coordinates import Loaded
from resources.ledger import Ledger, LedgerError


class MismatchError(ValueError):
    """The judged and that by which it was to be judged do not belong together."""


def require_same_origin(name: str, loaded: Mapping[str, Loaded], declared: Mapping[str, Any], ledger: Ledger) -> None:
    """Raise MismatchError unless the inputs of a use case's evaluation belong together, by the coordinates of each.

    The model, in all its parts, must have learned from the very examples that the test rows are of, or it may have
    learned from test rows. All feature matrices, and the model's threshold and interval, must be made as `declared`,
    and the raw tables, which the champion's features are computed from, must be those that the candidate's were.
    """
    mismatch = next(_mismatches(loaded, declared, ledger), None)
    if mismatch is not None:
        reason, asset = mismatch
        raise MismatchError(f"{reason}; materialize {asset} again, or run {name}_retrain")


def _mismatches(loaded: Mapping[str, Loaded], declared: Mapping[str, Any], ledger: Ledger) -> Iterator[tuple[str, str]]:
    """Yield what does not belong together, and the asset whose making mends it."""
    inputs, reached = _inputs(ledger, loaded["test"]), list(_upstream(ledger, loaded["onnx_model"], set()))
    learned = {origin.hash for name, origin in reached if name == "examples"}
    judged = {inputs["examples"].hash}
    if learned != judged:
        yield (
            f"onnx_model was trained on the examples {_short(learned)}, features/test is of the examples "
            f"{_short(judged)}: the candidate may have learned from test rows",
            "features/test",
        )
    for matrix in [loaded["test"], *(origin for name, origin in reached if name == "development")]:
        if parts := _made_otherwise(ledger, matrix, reads.MATRIX, declared):
            yield _other_declaration(matrix, parts), "features/test"
    model = loaded["onnx_model"]
    if parts := _made_otherwise(ledger, model, reads.REFERENCE, declared):
        yield _other_declaration(model, parts), "onnx_model"
    for name, table in sorted(loaded.items()):
        if name.startswith("raw_") and inputs[name].hash != table.hash:
            yield (
                f"features/test was made from other content of {_name(table)} than is there now, from which the "
                "champion's features are computed",
                "features/test",
            )


def _made_otherwise(ledger: Ledger, result: Loaded, parts: Reads, declared: Mapping[str, Any]) -> list[str]:
    """Return the parts of the declaration that have changed since something was made, each time that it was made.

    The same content may be made under several declarations; what was made of it is not made again for that.
    """
    now = parts.decide(declared)
    differing = changed(parts.decide(_record(ledger, result)["config"]["value"]), now)
    alike = ledger.with_content(result.asset, result.hash) if differing else []
    return [] if any(parts.decide(ledger.get(origin)["config"]["value"]) == now for origin in alike) else differing


def _other_declaration(result: Loaded, parts: Iterable[str]) -> str:
    return f"{_name(result)} was made under another declaration ({', '.join(parts)} changed)"


def require_judged_as_declared(case: Case, evaluation: str, declared: Mapping[str, Any], ledger: Ledger) -> None:
    """Raise MismatchError unless the evaluation of these coordinates was made of what belongs together, as declared.

    Limits of the gates may have changed since.
    """
    record = _record(ledger, Loaded(case.key("evaluation").to_user_string(), "", evaluation))
    then, loaded = record["config"]["value"], {name: Loaded(**origin) for name, origin in record["data"].items()}
    if parts := changed(reads.EVALUATION.decide(then), reads.EVALUATION.decide(declared)):
        raise MismatchError(
            f"the evaluation was made under another declaration ({', '.join(parts)} changed): materialize evaluation "
            "again"
        )
    require_same_origin(case.name, loaded, then, ledger)


def _upstream(ledger: Ledger, start: Loaded, seen: set[str]) -> Iterator[tuple[str, Loaded]]:
    """Yield what something was made of, down to the examples: each once, with its name as an input."""
    for name, origin in _inputs(ledger, start).items():
        if name.startswith("raw_") or origin.coordinates in seen:
            continue
        seen.add(origin.coordinates)
        yield name, origin
        if name != "examples":
            yield from _upstream(ledger, origin, seen)


def _inputs(ledger: Ledger, result: Loaded) -> dict[str, Loaded]:
    return {name: Loaded(**origin) for name, origin in _record(ledger, result)["data"].items()}


def _record(ledger: Ledger, result: Loaded) -> dict[str, Any]:
    try:
        return ledger.get(result.coordinates)
    except LedgerError as error:
        raise MismatchError(
            f"nobody knows what {_name(result)} was made from ({error}); materialize it again, with its upstream"
        ) from error


def _name(result: Loaded) -> str:
    """Return the asset's name within the use case."""
    return result.asset.partition("/")[2]


def _short(hashes: Iterable[str]) -> str:
    return " and ".join(sorted(text[:12] for text in hashes)) or "none"
