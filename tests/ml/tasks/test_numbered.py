"""A number in the name of a metric is one that it can have, written in one way."""

import re

import pytest

from ml.tasks.metrics import Metric


@pytest.mark.parametrize(
    ("name", "takes"),
    [
        ("pinball_1", "a quantile between 0 and 1"),
        ("pinball_nan", "a quantile between 0 and 1"),
        ("pinball_0.90", "a quantile between 0 and 1"),
        ("fbeta_0", "how many times"),
        ("fbeta_inf", "how many times"),
        ("top_1_accuracy", "a whole number from 2 on"),
        ("top_2.5_accuracy", "a whole number from 2 on"),
        ("precision_at_1.5", "a number of rows or a share"),
        ("precision_at_-3", "a number of rows or a share"),
        ("precision_at_ten", "a number of rows or a share"),
        ("ndcg_at_0", "a whole number of rows, such as ndcg_at_10"),
        ("map_at_0.1", "a whole number of rows, such as map_at_10"),
        ("mrr_at_1e2", "a whole number of rows, such as mrr_at_10"),
    ],
)
def test_a_number_that_a_metric_cannot_have_is_refused_with_those_that_it_can(name: str, takes: str) -> None:
    with pytest.raises(ValueError, match=rf"There is no metric '{re.escape(name)}': \S+ takes {takes}"):
        Metric.named(name)


@pytest.mark.parametrize(
    "name", ["pinball_0.00001", "precision_at_0.00005", "precision_at_1000000", "fbeta_0.5", "map_at_3"]
)
def test_a_small_or_large_number_is_written_without_an_exponent(name: str) -> None:
    assert Metric.named(name).name == name
