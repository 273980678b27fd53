"""The page and its pictures, of each kind of task."""

import json
import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ml.encoding import Encoder
from ml.evaluating import Judging, evaluate
from ml.evaluation import Estimate, Evaluation
from ml.explanations import Explained
from ml.metrics import Kind, Task
from ml.pictures import pictures
from ml.reference import make_reference
from ml.report import estimate, figure, html, in_short, without_nan
from ml.spec import UseCaseSpec
from ml.verdict import Verdict

TASKS: dict[Kind, Task] = {
    "binary": Task(),
    "multiclass": Task("multiclass", ("ant", "bee", "cow")),
    "regression": Task("regression"),
}
OF_ALL = {"slices", "permutation importance", "SHAP values", "refit seeds"}
OF_CLASSES = {"confusion matrix", "ROC curve", "precision and recall", "calibration"}
PICTURES = {
    "binary": OF_ALL | OF_CLASSES | {"probabilities"},
    "multiclass": OF_ALL | OF_CLASSES,
    "regression": OF_ALL | {"predicted and actual", "residuals", "residual distribution"},
}
COORDINATES: dict[str, Any] = {"id": "0123456789abcdef", "data": {"raw_rows": "f" * 64}, "seed": 0}


def spec_of(kind: Kind) -> UseCaseSpec:
    return UseCaseSpec.model_validate(
        {
            "description": "Which <one>?",
            "task": kind,
            "tables": {"rows": {"source": {"path": "rows.csv"}, "key": "id"}},
            "examples": {"table": "rows", "target": "y", "split": {"validation_share": 0.2, "test_share": 0.2}},
            "models": {"lightgbm": {}},
            "evaluation": {"resamples": 60, "slices": ["site"], "sensitive": ["site"], "shap_rows": 10,
                           "slice_rows": 10},
        }
    )  # fmt: skip


def answers(kind: Kind, X: np.ndarray) -> np.ndarray:
    """What the model of these tests answers: it goes by the first feature."""
    if kind == "regression":
        return 3 * X[:, 0]
    if kind == "binary":
        return 1 / (1 + np.exp(-2 * X[:, 0]))
    powers = np.exp(np.column_stack([X[:, 0], -X[:, 0], np.zeros(len(X))]))
    shares: np.ndarray = powers / powers.sum(axis=1, keepdims=True)
    return shares


def truth(kind: Kind, x: np.ndarray, random: np.random.Generator) -> np.ndarray:
    if kind == "regression":
        return 3 * x + random.normal(size=len(x))
    if kind == "binary":
        return (x + random.normal(size=len(x)) > 0).astype("int8")
    return np.digitize(x + random.normal(size=len(x)), [-0.5, 0.5]).astype("int16")


def made(kind: Kind, *, champion: bool = True, seeds: int = 3) -> tuple[Evaluation, Judging, Explained]:
    """An evaluation of 240 test rows."""
    random, task, spec = np.random.default_rng(0), TASKS[kind], spec_of(kind)
    rows = pd.DataFrame({"id": range(240), "cutoff": pd.NaT, "x": random.normal(size=240), "z": random.random(240)})
    y, x_valid = truth(kind, rows["x"].to_numpy(), random), random.normal(size=200)
    y_valid = truth(kind, x_valid, random)
    encoder = Encoder.fit(rows, ["x", "z"], [])
    candidate = answers(kind, encoder.encode(rows).astype(float))
    p_valid = answers(kind, x_valid[:, None])
    given = Judging(
        spec=spec,
        task=task,
        rows=rows,
        grouping={"site": pd.Series(np.where(rows["id"] % 3 == 0, "north", "south"))},
        y=y,
        candidate=candidate,
        champion=answers(kind, encoder.encode(rows).astype(float) * 0.5) if champion else None,
        fair=np.ones(240, dtype=bool),
        reference=make_reference(
            task, spec.evaluation, spec.metric, y_valid, y_valid, p_valid, [0.7, 0.71, 0.69][:seeds]
        ),
        encoder=encoder,
        predict=lambda X: answers(kind, X),
    )
    begun = Evaluation(
        model_hash="a" * 64,
        family="lightgbm",
        rows=240,
        target={"share positive": 0.5},
        metrics={},
        champion_version="4" if champion else None,
    )
    found, explained = evaluate(begun, given)
    return found, given, explained


def page(kind: Kind, *, passed: bool = True, champion: bool = True, seeds: int = 3) -> str:
    found, given, explained = made(kind, champion=champion, seeds=seeds)
    verdicts = [Verdict("roc_auc", True, "it is"), Verdict("champion", passed, "it is not")]
    drawn = pictures(found, given, explained, COORDINATES["id"])
    return html("zoo", given.spec, found, verdicts, drawn, COORDINATES)


class Sources(HTMLParser):
    """What a page loads from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attributes if name in ("src", "href")]


@pytest.mark.parametrize("kind", list(TASKS))
def test_a_page_has_every_section_in_order_and_is_complete_in_itself(kind: Kind) -> None:
    content = page(kind)

    sections = re.findall(r'<h2 id="(\w+)"', content)
    of_classes = ["decisions", "curves", "calibration"] if kind != "regression" else ["curves"]
    assert sections == ["gates", "metrics", *of_classes, "slices", "fairness", "importances", "wrong", "stability",
                        "card", "coordinates"]  # fmt: skip
    sources = Sources()
    sources.feed(content)
    assert {source.partition(":")[0] for source in sources.found if not source.startswith("#")} == {"data"}
    assert {source[1:] for source in sources.found if source.startswith("#")} == set(sections)
    assert "Which &lt;one&gt;?" in content
    assert "nan" not in re.sub(r"base64,[^\"]+", "", content).lower()


@pytest.mark.parametrize("kind", list(TASKS))
def test_the_pictures_of_a_task_are_on_the_page_and_the_same_each_time(kind: Kind) -> None:
    found, given, explained = made(kind)

    first, again = (pictures(found, given, explained, "0" * 16) for _ in range(2))

    assert set(first) == PICTURES[kind]
    assert first == again
    assert set(re.findall(r'<img alt="([^"]+)"', page(kind))) == PICTURES[kind]


def test_the_verdict_names_the_gates_that_refused() -> None:
    assert "Passes all 2 gates" in page("regression")
    assert "Refused by 1 of 2 gates: champion" in page("regression", passed=False)


def test_without_champion_and_seeds_the_page_says_what_is_missing() -> None:
    content = page("regression", champion=False, seeds=1)

    assert "champion (version" not in content
    assert "models.lightgbm.refit_seeds" in content
    assert 'alt="refit seeds"' not in content


def test_the_card_says_what_limits_the_model() -> None:
    content = page("binary")

    assert "No approval is asked for" in content
    assert "the problem has no cutoff" in content.lower()
    assert "fewer than 10 test rows" in content


def test_the_interval_of_numbers_and_the_threshold_of_classes_are_told() -> None:
    found, _, _ = made("binary")
    assert found.reference is not None
    assert found.reference.threshold is not None
    assert f"<b>{figure(found.reference.threshold.value)}</b>" in page("binary")

    numbers, _, _ = made("regression")
    assert numbers.coverage is not None
    assert f"± {figure(numbers.coverage.half_width)}" in page("regression")


def test_the_metric_of_the_use_case_comes_first_in_short() -> None:
    found, _, _ = made("multiclass")

    lines = in_short(found, "log_loss").splitlines()

    assert lines[0] == "| metric | candidate | champion (version 4) | baseline |"
    assert lines[2].startswith(f"| log_loss | {estimate(found.intervals['log_loss'])} |")
    assert lines[-1] == "240 test rows, 95% intervals of 60 resamples"


@pytest.mark.parametrize(
    ("value", "said"), [(0.71384, "0.7138"), (51.204, "51.20"), (1234.56, "1,234.56"), (98765.4, "98,765"),
                        (float("nan"), "-")]
)  # fmt: skip
def test_figures_have_the_decimals_that_their_size_calls_for(value: float, said: str) -> None:
    assert figure(value) == said


def test_an_interval_without_width_is_not_shown() -> None:
    assert estimate(Estimate(value=0.5, low=0.5, high=0.5)) == "0.5000"
    assert estimate(Estimate(value=0.5, low=0.4, high=0.6)) == "0.5000 [0.4000, 0.6000]"
    assert estimate(Estimate(value=float("nan"), low=float("nan"), high=float("nan"))) == "-"


def test_what_is_no_number_is_null_in_json() -> None:
    told = without_nan({"a": [1.0, float("nan")], "b": {"c": float("nan")}, "d": "nan"})

    assert json.dumps(told, allow_nan=False) == '{"a": [1.0, null], "b": {"c": null}, "d": "nan"}'
