"""The page and its pictures, of each kind of task."""

import json
import re
from functools import cache
from html.parser import HTMLParser
from typing import Any

import pytest

from ml.evaluation.record import Estimate
from ml.report.look import figure
from ml.report.page import as_json, estimate, html, in_short, without_nan
from ml.report.pictures import pictures
from ml.tasks.task import Kind
from ml.verdict import Verdict
from tests.support.judged import TASKS, made, several

pytestmark = pytest.mark.usefixtures("drawn")
OF_ALL = {"slices", "permutation importance", "SHAP values", "refit seeds"}
OF_CLASSES = {"confusion matrix", "ROC curve", "precision and recall", "calibration"}
PICTURES = {
    "binary": OF_ALL | OF_CLASSES | {"probabilities"},
    "multiclass": OF_ALL | OF_CLASSES,
    "regression": OF_ALL | {"predicted and actual", "residuals", "residual distribution"},
}
COORDINATES: dict[str, Any] = {"id": "0123456789abcdef", "data": {"raw_rows": "f" * 64}, "seed": 0}


@cache
def pictures_of(kind: Kind, champion: bool, seeds: int) -> dict[str, bytes]:
    """The pictures, which take a second, once for all tests that only read the page."""
    return pictures(*made(kind, champion=champion, seeds=seeds), COORDINATES["id"])


def page(kind: Kind, *, passed: bool = True, champion: bool = True, seeds: int = 3) -> str:
    found, given, _ = made(kind, champion=champion, seeds=seeds)
    verdicts = [Verdict("roc_auc", True, "it is"), Verdict("champion", passed, "it is not")]
    return html("zoo", given.spec, found, verdicts, pictures_of(kind, champion, seeds), COORDINATES)


class Sources(HTMLParser):
    """What a page loads from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attributes if name in ("src", "href")]


@pytest.mark.slow
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


@pytest.mark.slow
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


def test_a_metric_at_a_decision_says_so_wherever_it_is_the_one_that_counts() -> None:
    evaluation, inputs, explained = made("binary", metric="accuracy")
    drawn = pictures(evaluation, inputs, explained, COORDINATES["id"])

    content = re.sub(r"base64,[^\"]+", "", html("zoo", inputs.spec, evaluation, [], drawn, COORDINATES))

    texts = re.sub(r"<[^>]+>", "\n", re.sub(r"(?s)<(style|script).*?</\1>", "", content))
    assert re.findall(r".*\baccuracy\b(?! at (?:0\.5|the threshold)).*", texts) == []
    assert texts.count("accuracy at 0.5") > 6
    with_pictures = [text for text in axes_of(evaluation, inputs, explained) if "accuracy" in text]
    assert with_pictures
    assert all("accuracy at 0.5" in text for text in with_pictures)


def axes_of(*made: Any) -> list[str]:
    """The labels of the axes of all pictures."""
    from matplotlib.figure import Figure

    labels: list[str] = []
    draw = Figure.savefig

    def noted(figure: Figure, *where: Any, **how: Any) -> None:
        labels.extend(text for axes in figure.axes for text in (axes.get_xlabel(), axes.get_ylabel()))
        draw(figure, *where, **how)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", noted)
        pictures(*made, COORDINATES["id"])
    return labels


def test_accuracies_say_where_the_decision_falls() -> None:
    found, _, _ = made("binary")
    assert found.reference is not None
    assert found.reference.threshold is not None

    content, short = page("binary"), in_short(found, "roc_auc")

    cells = re.findall(r"<td>([^<]*(?:accuracy|f1|F1)[^<]*)", content)
    assert cells[:4] == ["accuracy at 0.5", "f1_macro at 0.5", "F1 at the threshold", "accuracy at the threshold"]
    assert '<th class="n">accuracy at the threshold' in content
    assert "| accuracy at 0.5 |" in short
    assert f"at the threshold {figure(found.reference.threshold.value)}, from which on the answer is yes" in short
    assert "<td>accuracy<td" in page("multiclass")


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


@pytest.mark.slow
def test_where_the_champion_has_seen_rows_both_models_are_shown_on_the_others() -> None:
    found, given, explained = made("binary", seen=150)

    content = html("zoo", given.spec, found, [], pictures(found, given, explained, "0" * 16), COORDINATES)

    row = re.search(r"<tr><td>site = south.*", content)
    assert row is not None
    cells = re.split(r"<td[^>]*>", re.sub(r" <small>[^<]*</small>", "", row[0]))[2:]
    both = next(each.against_champion for each in found.slices if each.value == "south")
    assert both is not None
    assert '<th class="n">new rows<th class="n">candidate on them<th class="n">champion on them' in content
    assert cells[2:] == [
        str(both.rows),
        *map(figure, (both.candidate.value, both.champion.value, both.difference.value)),
    ]
    assert "champion on them" not in page("binary")


def test_a_confidence_is_told_as_it_was_declared() -> None:
    found, given, _ = made("binary")
    sure = found.model_copy(update={"confidence": 0.995, "comparison": found.over_baseline})

    assert "99.5% intervals" in in_short(sure, "roc_auc")
    assert "is the 99.5% interval" in html("zoo", given.spec, sure, [], {}, COORDINATES)


def test_the_numbers_of_the_page_are_told_with_the_gates() -> None:
    found, _, _ = made("binary")

    content = as_json(found, [Verdict("slices", False, "worse", {"site = south": float("nan"), "z": -0.2})])

    assert content["gates"] == [
        {"gate": "slices", "passed": False, "reason": "worse", "figures": {"site = south": None, "z": -0.2}}
    ]
    assert content["metrics"] == found.metrics


def test_an_interval_without_width_is_not_shown() -> None:
    assert estimate(Estimate(value=0.5, low=0.5, high=0.5)) == "0.5000"
    assert estimate(Estimate(value=0.5, low=0.4, high=0.6)) == "0.5000 [0.4000, 0.6000]"
    assert estimate(Estimate(value=float("nan"), low=float("nan"), high=float("nan"))) == "-"


def test_what_is_no_number_is_null_in_json() -> None:
    told = without_nan({"a": [1.0, float("nan")], "b": {"c": float("nan")}, "d": "nan"})

    assert json.dumps(told, allow_nan=False) == '{"a": [1.0, null], "b": {"c": null}, "d": "nan"}'


@pytest.mark.slow
def test_the_page_of_several_targets_has_what_is_of_all_and_what_is_of_each() -> None:
    found, given, explained = several()
    drawn = pictures(found, given, explained, "0" * 16)

    content = html("zoo", given.spec, found, [Verdict("roc_auc", True, "it is")], drawn, COORDINATES)

    of_all = ["gates", "metrics", "slices", "importances", "target-first", "target-second", "stability", "card"]
    assert re.findall(r'<h2 id="([-\w]+)"', content) == [*of_all, "coordinates"]
    assert set(re.findall(r'href="#([-\w]+)"', content)) == {*of_all, "coordinates"}
    of_each = (PICTURES["binary"] - {"refit seeds"}) | {"confusion matrix"}
    expected = OF_ALL | {f"{title} of {name}" for title in of_each for name in ("first", "second")}
    assert set(drawn) == set(re.findall(r'<img alt="([^"]+)"', content)) == expected
    for alone in found.targets.values():
        assert alone.reference is not None
        assert alone.reference.threshold is not None
        assert f"<b>{figure(alone.reference.threshold.value)}</b>" in content
    assert "It does so for each of first, second." in content
    assert "nan" not in re.sub(r"base64,[^\"]+", "", content).lower()


def test_several_targets_are_told_in_short_each_behind_their_means() -> None:
    found, _, _ = several()

    short = in_short(found, "roc_auc")

    assert short.index("| roc_auc |") < short.index("**first**") < short.index("**second**")
    assert short.count("from which on the answer is yes") == 2
    assert "| accuracy at 0.5 |" in short
