"""The evaluation as plots and one self-contained HTML page."""

import base64
import io
from typing import Any

import numpy as np

from ml.evaluation import Evaluation
from ml.gates import Verdict
from ml.stamp import KEY, stamp_html


def plots(y: np.ndarray, p: np.ndarray, coordinates: str) -> dict[str, bytes]:
    """ROC, precision-recall and calibration curves as PNG, by name; each carries the coordinates' id."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from sklearn.calibration import CalibrationDisplay
    from sklearn.metrics import PrecisionRecallDisplay, RocCurveDisplay

    displays: dict[str, tuple[Any, dict[str, Any]]] = {
        "ROC curve": (RocCurveDisplay, {"plot_chance_level": True}),
        "precision and recall": (PrecisionRecallDisplay, {"plot_chance_level": True}),
        "calibration": (CalibrationDisplay, {"n_bins": 10, "strategy": "quantile"}),
    }
    made = {}
    for name, (display, options) in displays.items():
        figure, axes = plt.subplots(figsize=(5, 4.2), layout="constrained")
        display.from_predictions(y, p, ax=axes, name="candidate", **options)
        axes.set_title(name)
        axes.spines[["top", "right"]].set_visible(False)
        content = io.BytesIO()
        figure.savefig(content, format="png", dpi=110, metadata={"Software": None, KEY: coordinates})
        plt.close(figure)
        made[name] = content.getvalue()
    return made


def html(
    title: str,
    description: str,
    evaluation: Evaluation,
    verdicts: list[Verdict],
    figures: dict[str, bytes],
    coordinates: dict[str, Any],
) -> str:
    """The whole report as one page without outside references."""
    from importlib.resources import files

    from jinja2 import Environment

    template = Environment(autoescape=True).from_string(files("ml").joinpath("report.html").read_text())
    images = {name: base64.b64encode(content).decode() for name, content in figures.items()}
    page = template.render(
        title=title, description=description, e=evaluation, verdicts=verdicts, images=images, coordinates=coordinates
    )
    return stamp_html(page, str(coordinates["id"]))
