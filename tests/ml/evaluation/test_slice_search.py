"""The search for the worst slices: it finds what was planted, and nothing where there is nothing."""

import numpy as np
import pandas as pd
import pytest

from ml.evaluation.slice_search import Search, worst_slices
from ml.tasks.counting import Counting

FEATURES = ["site", "age", *(f"noise_{number}" for number in range(10))]


def rows(seed: int, count: int = 1500) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    matrix = pd.DataFrame({name: random.normal(size=count) for name in FEATURES})
    matrix["site"] = random.choice(["north", "south", "east"], count)
    y = random.integers(0, 2, count).astype("int8")
    return matrix, y, np.clip(0.3 * y + 0.7 * random.random(count), 0.01, 0.99)


def search(y: np.ndarray, p: np.ndarray, metric: str = "roc_auc") -> Search:
    return Search(metric, y, p, least=0.02, smallest=50, seed=0)


@pytest.mark.parametrize("metric", ["roc_auc", "log_loss", "accuracy"])
def test_a_slice_whose_labels_are_flipped_is_found_first(metric: str) -> None:
    matrix, y, p = rows(0)
    south = (matrix["site"] == "south").to_numpy()
    y = np.where(south & (np.arange(len(y)) % 2 == 0), 1 - y, y)

    found = worst_slices(matrix, FEATURES, search(y, p, metric), most=5)

    assert [(each.part.column, each.part.value) for each in found.findings] == [("site", "south")]
    assert found.findings[0].p_value < 0.001
    assert found.looked_at == 3 + 11 * 4


@pytest.mark.parametrize("metric", ["roc_auc", "average_precision", "accuracy", "f1_macro", "log_loss"])
@pytest.mark.parametrize("sites", [3, 40])
def test_a_slice_of_which_every_answer_is_wrong_is_found_though_its_rows_do_not_vary(metric: str, sites: int) -> None:
    random = np.random.default_rng(0)
    matrix = pd.DataFrame({"site": random.integers(0, sites, 3000).astype(str), "noise": random.normal(size=3000)})
    y = random.integers(0, 2, 3000).astype("int8")
    p = np.where(y == 1, 0.99, 0.01)
    y = np.where(matrix["site"] == "1", 1 - y, y)

    found = worst_slices(matrix, ["site", "noise"], search(y, p, metric), most=5)

    assert [(each.part.column, each.part.value) for each in found.findings] == [("site", "1")]
    assert found.findings[0].p_value < 1e-6


@pytest.mark.slow
def test_where_nothing_is_wrong_a_slice_is_rarely_found() -> None:
    found = [
        worst_slices(*(data := rows(seed))[:1], FEATURES, search(*data[1:]), most=5).findings for seed in range(40)
    ]

    assert sum(map(bool, found)) <= 5


def test_slices_of_about_the_same_rows_are_one_finding() -> None:
    matrix, y, p = rows(0)
    matrix["copy"] = matrix["site"].map({"north": 1, "south": 2, "east": 3})
    south = (matrix["site"] == "south").to_numpy()
    y = np.where(south & (np.arange(len(y)) % 2 == 0), 1 - y, y)

    found = worst_slices(matrix, [*FEATURES, "copy"], search(y, p), most=5)

    assert len(found.findings) == 1


def test_a_deficit_that_does_not_matter_is_not_found() -> None:
    matrix, y, p = rows(0)
    south = (matrix["site"] == "south").to_numpy()
    y = np.where(south & (np.arange(len(y)) % 2 == 0), 1 - y, y)

    assert worst_slices(matrix, FEATURES, Search("roc_auc", y, p, 0.9, 50, 0), most=5).findings == ()


def test_no_slice_is_looked_at_where_none_is_wanted() -> None:
    matrix, y, p = rows(0)

    assert worst_slices(matrix, FEATURES, search(y, p), most=0).looked_at == 0


def ranked(seed: int, count: int = 1800) -> tuple[pd.DataFrame, np.ndarray, np.ndarray, Counting]:
    """Rows of lists of twelve, and features of which `list` is the same in each list."""
    random = np.random.default_rng(seed)
    groups = np.arange(count) // 12
    matrix = pd.DataFrame({f"noise_{number}": random.normal(size=count) for number in range(4)})
    matrix["list"] = random.normal(size=groups.max() + 1)[groups]
    y = (random.random(count) < 0.3).astype("int8")
    return matrix, y, np.clip(0.3 * y + 0.7 * random.random(count), 0, 1), Counting(groups=groups)


@pytest.mark.parametrize("metric", ["group_precision_at_10", "mrr_at_10", "ndcg_at_10", "map_at_3", "precision_at_100"])
def test_a_slice_that_cuts_lists_is_not_worse_for_that(metric: str) -> None:
    found = 0
    for seed in range(10):
        matrix, y, p, counting = ranked(seed)
        search = Search(metric, y, p, least=0.02, smallest=50, seed=0, counting=counting)
        found += len(worst_slices(matrix, list(matrix), search, most=5).findings)

    assert found <= 1


@pytest.mark.parametrize("metric", ["group_precision_at_2", "mrr_at_10", "ndcg_at_10", "map_at_3", "precision_at_100"])
@pytest.mark.parametrize("feature", ["noise_0", "list"])
def test_a_slice_that_is_ranked_wrongly_is_found_be_it_of_rows_or_of_lists(metric: str, feature: str) -> None:
    matrix, y, p, counting = ranked(0)
    low = (matrix[feature] < matrix[feature].quantile(0.25)).to_numpy()
    search = Search(metric, y, np.where(low, 1 - p, p), least=0.02, smallest=50, seed=0, counting=counting)

    worst, *_ = worst_slices(matrix, list(matrix), search, most=5).findings

    assert worst.part.column == feature
    assert np.mean(low[worst.part.positions]) > 0.95


def test_a_slice_of_one_list_is_not_found() -> None:
    matrix, y, p, _ = ranked(0, 400)
    search = Search("ndcg_at_10", y, p, least=0.0, smallest=50, seed=0, counting=Counting(groups=np.zeros(400, int)))

    assert worst_slices(matrix, list(matrix), search, most=5).findings == ()
