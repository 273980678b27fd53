"""Gates of a user's own."""

from collections.abc import Mapping
from typing import Any

from ml.evaluation.record import Evaluation
from ml.verdict import Verdict


def enough_rows(evaluation: Evaluation, options: Mapping[str, Any]) -> Verdict:
    return Verdict("whatever", evaluation.rows >= options["rows"], f"there are {evaluation.rows} rows", {"rows": 1.0})


def returns_a_number(evaluation: Evaluation, options: Mapping[str, Any]) -> float:
    return float("nan")


def takes_too_little(evaluation: Evaluation) -> Verdict:
    raise AssertionError
