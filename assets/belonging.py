"""Whether a model, the rows that judge it and its evaluation belong together: made of the same, and as declared."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from assets.step import Case
from ml.declaration.judged_by import changed, of_evaluation, of_matrix, of_reference
from ml.provenance.coordinates import Loaded
from resources.ledger import Ledger, LedgerError


class MismatchError(ValueError):
    """What was to be judged does not belong to what it was to be judged by."""


def require_same_origin(case: Case, loaded: Mapping[str, Loaded], declared: Mapping[str, Any], ledger: Ledger) -> None:
    """Raises MismatchError unless the inputs of an evaluation belong together, by the coordinates of each.

    The model, in all its parts, must have learned from the very examples that the test rows are of, or it may have
    learned from test rows. All feature matrices, and the model's threshold and interval, must be made as `declared`,
    and the raw tables, which the champion's features are computed from, must be those that the candidate's were.
    """
    found = next(_mismatches(loaded, declared, ledger), None)
    if found is not None:
        reason, asset = found
        raise MismatchError(f"{reason}; materialize {asset} again, or run {case.name}_retrain")


def _mismatches(loaded: Mapping[str, Loaded], declared: Mapping[str, Any], ledger: Ledger) -> Iterator[tuple[str, str]]:
    """What does not belong together, and the asset whose making mends it."""
    made_of, reached = _inputs(ledger, loaded["test"]), list(_upstream(ledger, loaded["onnx_model"], set()))
    learned, asked = {each.hash for name, each in reached if name == "examples"}, {made_of["examples"].hash}
    if learned != asked:
        yield (
            f"onnx_model was trained on the examples {_short(learned)}, features/test is of the examples "
            f"{_short(asked)}: the candidate may have learned from test rows",
            "features/test",
        )
    for each in [loaded["test"], *(each for name, each in reached if name == "development")]:
        if other := changed(of_matrix(_record(ledger, each)["config"]["value"]), of_matrix(declared)):
            yield _other_declaration(each, other), "features/test"
    model = loaded["onnx_model"]
    if other := changed(of_reference(_record(ledger, model)["config"]["value"]), of_reference(declared)):
        yield _other_declaration(model, other), "onnx_model"
    for name, each in sorted(loaded.items()):
        if name.startswith("raw_") and made_of[name].hash != each.hash:
            yield (
                f"features/test was made from other content of {_name(each)} than is there now, from which the "
                "champion's features are computed",
                "features/test",
            )


def _other_declaration(made: Loaded, changed: Iterable[str]) -> str:
    return f"{_name(made)} was made under another declaration ({', '.join(changed)} changed)"


def require_judged_as_declared(case: Case, evaluation: str, ledger: Ledger) -> None:
    """Raises MismatchError unless the evaluation of these coordinates was made of what belongs together, as declared.

    Limits of the gates may have changed since.
    """
    record = _record(ledger, Loaded(case.key("evaluation").to_user_string(), "", evaluation))
    then, loaded = record["config"]["value"], {name: Loaded(**each) for name, each in record["data"].items()}
    if other := changed(of_evaluation(then), of_evaluation(case.spec.resolved())):
        raise MismatchError(
            f"the evaluation was made under another declaration ({', '.join(other)} changed): materialize evaluation "
            "again"
        )
    require_same_origin(case, loaded, then, ledger)


def _upstream(ledger: Ledger, start: Loaded, seen: set[str]) -> Iterator[tuple[str, Loaded]]:
    """What something was made of, down to the examples: each once, with its name as an input."""
    for name, each in _inputs(ledger, start).items():
        if name.startswith("raw_") or each.coordinates in seen:
            continue
        seen.add(each.coordinates)
        yield name, each
        if name != "examples":
            yield from _upstream(ledger, each, seen)


def _inputs(ledger: Ledger, of: Loaded) -> dict[str, Loaded]:
    return {name: Loaded(**each) for name, each in _record(ledger, of)["data"].items()}


def _record(ledger: Ledger, of: Loaded) -> dict[str, Any]:
    try:
        return ledger.get(of.coordinates)
    except LedgerError as error:
        raise MismatchError(
            f"nobody knows what {_name(of)} was made from ({error}); materialize it again, with its upstream"
        ) from error


def _name(of: Loaded) -> str:
    """The asset within the use case."""
    return of.asset.partition("/")[2]


def _short(hashes: Iterable[str]) -> str:
    return " and ".join(sorted(each[:12] for each in hashes)) or "none"
