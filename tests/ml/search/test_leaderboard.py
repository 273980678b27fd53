"""The order of the families."""

import pytest

from ml.search.leaderboard import Leaderboard, rank


@pytest.mark.parametrize(("metric", "order"), [("roc_auc", ["c", "a", "b"]), ("log_loss", ["a", "b", "c"])])
def test_the_best_comes_first_and_stays_there_when_stored(metric: str, order: list[str]) -> None:
    board = rank({"b": 0.5, "c": 0.7, "a": 0.5}, metric)

    stored = Leaderboard.model_validate_json(board.model_dump_json())

    assert [family for family, _ in stored.ranking] == order
    assert stored.candidate == order[0]
