"""A network in a use case: trained on images as declared, watched in MLflow, exported."""

from pathlib import Path

import pytest

from dagster_project.results.locate import locate
from resources.tracking.runs import tracking
from tests.journeys.test_tasks import case, materialize, stored


@pytest.mark.slow
def test_a_network_for_images_is_trained_as_declared_and_its_curves_are_logged(home: Path) -> None:
    options = {"trials": 1, "epochs": 6, "patience": 6, "batch": 32, "freeze": True, "unfreeze": [1, 1, 1]}
    digits = case("digits", models={"cnn": options})

    assert materialize(digits, "onnx_model").success

    model = stored(digits, "models/cnn")
    assert model.metric == "log_loss"
    assert model.score < 0.5
    assert {"epochs": 6, "batch": 32, "unfreeze": (1, 1, 1)}.items() <= dict(model.params).items()
    assert model.model.shape.numbers == 61  # of 64 pixels, three are the same in all training rows
    assert (model.model.shape.sizes.height, model.model.shape.sizes.width) == (8, 8)
    run = locate(f"{digits.name}/models/cnn", tracking())["run"]["mlflow"]
    client = tracking().client()
    for curve in ("training loss", "gradient norm", "learning rate", "rows per second", "validation loss"):
        points = client.get_metric_history(run, curve)
        assert [point.step for point in points] == [50, 100, 150, 200][-len(points) :]
        assert len(points) >= 3
    losses = [point.value for point in client.get_metric_history(run, "training loss")]
    assert losses[-1] < losses[0]
    assert list((home / "checkpoints").glob("*")) == []
