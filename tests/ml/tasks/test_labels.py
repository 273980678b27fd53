"""Names of metrics say where the decision falls that they are about."""

import numpy as np
import pytest

from ml.tasks.counting import Counting
from ml.tasks.labels import at_threshold, label
from ml.tasks.metrics import Metric, metrics_of

RANDOM = np.random.default_rng(0)
Y, P = RANDOM.integers(0, 2, 300), RANDOM.random(300)


@pytest.mark.parametrize("metric", metrics_of("binary"))
def test_a_metric_is_named_at_05_where_it_sees_nothing_but_that_decision(metric: str) -> None:
    in_lists = Counting(groups=np.arange(300) // 25)
    as_decided = Metric.named(metric)(Y, (P >= 0.5).astype(float), in_lists) == pytest.approx(
        Metric.named(metric)(Y, P, in_lists), abs=1e-12
    )

    assert label(metric, "binary") == (f"{metric} at 0.5" if as_decided else metric)


@pytest.mark.parametrize("kind", ["multiclass", "regression"])
def test_of_other_tasks_the_name_is_that_of_the_catalogue(kind: str) -> None:
    assert [label(metric, kind) for metric in metrics_of(kind)] == metrics_of(kind)  # type: ignore[arg-type]
    assert at_threshold("accuracy") == "accuracy at the threshold"
