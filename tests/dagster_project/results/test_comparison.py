"""Results are compared apart from the run that made them, and in nothing else."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from dagster_project.results.comparison import compare_results
from ml.evaluation.record import Estimate, Evaluation
from ml.evaluation.slices import Compared, Slice
from ml.search.leaderboard import Leaderboard, rank


@dataclass(frozen=True)
class Slope:
    """A model, or an encoder, of one number."""

    factor: float

    def predict(self, X: np.ndarray) -> np.ndarray:
        return X * self.factor

    def encode(self, rows: pd.DataFrame) -> np.ndarray:
        return rows["x"].to_numpy()


@dataclass(frozen=True)
class Tuned:
    """A tuned model without a model."""

    score: float
    study: str


PREDICTIONS = pd.DataFrame(
    {"id": [1, 2], "score": [0.1, 0.2], "model_version": "1", "model_coordinates": "a", "coordinates": "b",
     "scored_at": pd.Timestamp("2024-01-01")}
)  # fmt: skip


def test_predictions_of_two_runs_are_identical_if_their_scores_are() -> None:
    later = PREDICTIONS.assign(model_version="2", coordinates="c", scored_at=pd.Timestamp("2025-01-01"))

    assert compare_results(PREDICTIONS, later).word == "identical"
    assert compare_results(PREDICTIONS, later.assign(score=[0.1, 0.3])).word == "different"


@pytest.mark.parametrize("name", ["version", "tag", "coordinates", "model_version"])
def test_a_column_of_the_data_counts_whatever_its_name(name: str) -> None:
    first = pd.DataFrame({"id": [1, 2], name: ["x", "y"]})

    verdict = compare_results(first, first.assign(**{name: ["x", "z"]}))

    assert (verdict.word, verdict.detail) == ("different", f"1 of 2 rows, in {name}")


@pytest.mark.parametrize(
    ("value", "word"), [(0.5, "identical"), (0.5 + 1e-12, "equal"), (0.6, "different"), (None, "different")]
)
def test_numbers_are_equal_within_the_tolerance_and_missing_is_no_number(value: float | None, word: str) -> None:
    first, second = (pd.DataFrame({"x": [0.5, None, number]}, dtype="float64") for number in (0.5, value))

    assert compare_results(first, second).word == word


def test_models_whose_bytes_differ_are_compared_by_their_scores() -> None:
    rows = pd.DataFrame({"x": [0.0, 0.5]})
    first, second = (SimpleNamespace(model=Slope(factor), encoder=Slope(1.0)) for factor in (1.0, 1.01))

    assert compare_results(first, second).word == "different"
    assert compare_results(first, second, 0.01, rows).detail == "scores of 2 rows within 0.005, allowed: 0.01"
    assert compare_results(first, second, 0.01, rows).word == "equal"
    assert compare_results(first, second, 0.001, rows).word == "different"


def test_the_study_of_a_model_is_no_part_of_the_result() -> None:
    verdicts = [compare_results(Tuned(0.5, "small/a/1"), Tuned(score, "small/a/2")).word for score in (0.5, 0.6)]

    assert verdicts == ["identical", "different"]


def test_equal_texts_may_be_one_object_or_two() -> None:
    text, same = "drop", "".join(["dr", "op"])

    assert text is not same
    assert compare_results([text, text], [text, same]).word == "identical"
    assert compare_results([text, text], [text, "keep"]).word == "different"


def test_other_shapes_types_and_values_are_named() -> None:
    board = rank({"a": 0.5, "b": 0.7}, "roc_auc")
    other = Leaderboard(metric="roc_auc", ranking=(("b", 0.7), ("a", 0.4)))

    assert compare_results(board, board).word == "identical"
    assert compare_results(board, other).detail == "ranking[1][1] 0.5 and 0.4"
    assert compare_results(board, b"").detail == "Leaderboard and bytes"
    assert "2 rows of 6 columns" not in compare_results(PREDICTIONS, PREDICTIONS.head(1)).detail
    assert compare_results(PREDICTIONS, PREDICTIONS.head(1)).detail == "2 rows of 2 columns and 1 rows of 2 columns"


def test_what_is_no_number_on_both_sides_is_the_same() -> None:
    unknown = Evaluation(model_hash="a", family="x", rows=1, metrics={"roc_auc": float("nan")})

    assert compare_results(unknown, unknown.model_copy(deep=True)).word == "identical"
    assert compare_results(unknown, unknown.model_copy(update={"metrics": {"roc_auc": 0.5}})).word == "different"


def test_what_hangs_on_single_rows_counts_unless_training_need_not_be_exact() -> None:
    evaluation = Evaluation(model_hash="a", family="x", rows=1, metrics={"rmse": 1.0}, searched_slices=3)
    other = evaluation.model_copy(update={"metrics": {"rmse": 1.001}, "searched_slices": 4})

    assert compare_results(evaluation, evaluation.model_copy(update={"searched_slices": 4})).word == "different"
    assert compare_results(evaluation, other, tolerance=0.01).word == "equal"
    assert compare_results(evaluation, other.model_copy(update={"rows": 2}), tolerance=0.01).word == "different"


def test_what_a_champion_of_that_day_scored_on_a_slice_is_no_part_of_the_result() -> None:
    estimate = Estimate(value=0.5, low=0.4, high=0.6)
    both = Compared(rows=5, candidate=estimate, champion=estimate, difference=estimate)

    def evaluation(against: Compared | None, rows: int = 9) -> Evaluation:
        one = Slice(column="site", value="north", rows=rows, score=estimate, against_champion=against)
        return Evaluation(model_hash="a", family="f", rows=10, metrics={}, slices=(one,))

    assert compare_results(evaluation(both), evaluation(None)).word == "identical"
    assert compare_results(evaluation(both), evaluation(both, rows=8)).word == "different"


@dataclass(frozen=True)
class TunedTargets(Tuned):
    """A tuned model of several targets."""

    of_targets: tuple[Tuned, ...] = ()


def test_the_models_of_several_targets_are_compared_without_the_names_of_their_studies() -> None:
    first, second, other = (
        TunedTargets(0.5, study, (Tuned(score, f"{study}/a"), Tuned(0.5, f"{study}/b")))
        for study, score in (("x", 0.5), ("y", 0.5), ("y", 0.6))
    )

    assert compare_results(first, second).word == "identical"
    assert compare_results(first, other).word == "different"


def test_the_records_of_several_targets_are_compared_without_the_champion_of_that_day() -> None:
    alone = Evaluation(model_hash="a", family="logistic", rows=9, metrics={"roc_auc": 0.7})
    first, second = (
        alone.model_copy(update={"targets": {"churn": alone.model_copy(update={"champion_version": version})}})
        for version in ("1", None)
    )
    other = alone.model_copy(update={"targets": {"churn": alone.model_copy(update={"metrics": {"roc_auc": 0.6}})}})

    assert compare_results(first, second).word == "identical"
    assert compare_results(first, other).word == "different"
