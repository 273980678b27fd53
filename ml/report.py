"""The evaluation as plots and one self-contained HTML page."""

import base64
import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ml.evaluation import Evaluation
from ml.gates import Verdict
from ml.metrics import BINARY, Task
from ml.stamp import KEY, stamp_html
from ml.weighted import most_likely

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_CLASSES = 12  # in one picture: more cannot be told apart

Plot = Callable[["Axes", np.ndarray, np.ndarray], Any]


def plots(y: np.ndarray, p: np.ndarray, coordinates: str, task: Task = BINARY) -> dict[str, bytes]:
    """Pictures as PNG, by name, for predictions p [n_rows] or [n_rows, n_classes]; each carries the coordinates' id.

    Of a binary task the ROC, precision-recall and calibration curves; of many classes those most frequent each against
    the rest, and what was taken for what; of numbers the predicted ones and the residuals.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    drawn = {"binary": _binary, "multiclass": _multiclass, "regression": _regression}[task.kind](task)
    made = {}
    for name, draw in drawn.items():
        figure, axes = plt.subplots(figsize=(5, 4.2), layout="constrained")
        draw(axes, y, p)
        axes.set_title(name)
        axes.spines[["top", "right"]].set_visible(False)
        content = io.BytesIO()
        figure.savefig(content, format="png", dpi=110, metadata={"Software": None, KEY: coordinates})
        plt.close(figure)
        made[name] = content.getvalue()
    return made


def _binary(_: Task) -> dict[str, Plot]:
    from sklearn.calibration import CalibrationDisplay
    from sklearn.metrics import PrecisionRecallDisplay, RocCurveDisplay

    def shown(display: Any, **options: Any) -> Plot:
        return lambda axes, y, p: display.from_predictions(y, p, ax=axes, name="candidate", **options)

    return {
        "ROC curve": shown(RocCurveDisplay, plot_chance_level=True),
        "precision and recall": shown(PrecisionRecallDisplay, plot_chance_level=True),
        "calibration": shown(CalibrationDisplay, n_bins=10, strategy="quantile"),
    }


def _multiclass(task: Task) -> dict[str, Plot]:
    from sklearn.metrics import ConfusionMatrixDisplay, RocCurveDisplay

    def one_against_rest(axes: "Axes", y: np.ndarray, p: np.ndarray) -> None:
        for code in _most_frequent(y, task):
            RocCurveDisplay.from_predictions(
                y == code, p[:, code], ax=axes, name=task.classes[code], curve_kwargs={"linewidth": 1}
            )
        axes.set(xlabel="share of the rest that is above", ylabel="share of the class that is above")
        axes.legend(fontsize="x-small", loc="lower right")

    def taken_for(axes: "Axes", y: np.ndarray, p: np.ndarray) -> None:
        codes = sorted(_most_frequent(y, task))
        names = [task.classes[code] for code in codes]
        few = len(codes) <= MOST_CLASSES // 2
        ConfusionMatrixDisplay.from_predictions(
            y, most_likely(p), labels=codes, display_labels=names, ax=axes, cmap="Blues", colorbar=False,
            xticks_rotation="horizontal" if few else "vertical", values_format="d",
        )  # fmt: skip

    return {"confusion matrix": taken_for, "ROC, each class against the rest": one_against_rest}


def _most_frequent(y: np.ndarray, task: Task) -> list[int]:
    """The codes of the classes with the most rows, which are neither none nor all, the first ones first."""
    counts = np.bincount(y, minlength=len(task.classes))
    order = np.argsort(-counts, kind="stable")[:MOST_CLASSES]
    return [int(code) for code in order if 0 < counts[code] < len(y)]


def _regression(_: Task) -> dict[str, Plot]:
    from sklearn.metrics import PredictionErrorDisplay

    def shown(kind: str) -> Plot:
        return lambda axes, y, p: PredictionErrorDisplay.from_predictions(
            y, p, kind=kind, ax=axes, random_state=0, scatter_kwargs={"s": 8, "alpha": 0.6}
        )

    return {"predicted and actual": shown("actual_vs_predicted"), "residuals": shown("residual_vs_predicted")}


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
