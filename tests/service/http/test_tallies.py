"""The figures of what a model was asked and has answered."""

from __future__ import annotations

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import onnx
import pytest
from msgspec.structs import replace
from starlette.testclient import TestClient

from service.http import tallies
from service.http.app import Application
from service.http.served import Served
from service.http.tallies import MOST_MODELS, Tallies
from service.plan.document import Task

MODEL = 'model="flight_delays:3"'


def figures(served: Served) -> dict[str, float]:
    """Return the value of each series."""
    lines = TestClient(Application(served)).get("/metrics").text.splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}


def carry(folder: Path, **metadata: Any) -> Path:
    """Let the model of a bundle carry more."""
    model = onnx.load(folder / "model.onnx")
    for name, value in metadata.items():
        model.metadata_props.add(key=f"sextant.{name}", value=json.dumps(value))
    onnx.save(model, folder / "model.onnx")
    return folder


@pytest.fixture
def knowing(write_bundle: Any) -> Served:
    """Load a bundle whose model has a threshold and knows its categories."""
    reference = {"threshold": {"value": 0.9}}
    encoder = {"numeric": [], "categories": {"carrier": ["UA", "DL"], "planes.maker": ["BOEING"]}}
    served = Served()
    served.load(carry(write_bundle(), reference=reference, encoder=encoder))
    return served


def test_missing_and_unknown_values_are_counted_by_feature(knowing: Served, record: dict[str, Any]) -> None:
    client = TestClient(Application(knowing))
    client.post("/predict", json={**record, "tailnum": None, "distance": None})
    client.post("/predict", json={"records": [{**record, "carrier": name} for name in ("ZZ", "", None, "UA", "DL")]})
    client.post("/predict", json={**record, "tailnum": "N2"})  # a plane of an unknown maker, without seats

    found = figures(knowing)

    assert found[f"sextant_records_total{{{MODEL}}}"] == 7
    missing = {
        name: found[f'sextant_missing_values_total{{feature="{name}",{MODEL}}}']
        for name in ("distance", "charter", "planes.seats", "carrier", "planes.maker", "weather.wind")
    }
    assert missing == {
        "distance": 1,
        "charter": 0,
        "planes.seats": 2,
        "carrier": 2,
        "planes.maker": 1,
        "weather.wind": 0,
    }
    assert found[f'sextant_unknown_values_total{{feature="carrier",{MODEL}}}'] == 1
    assert found[f'sextant_unknown_values_total{{feature="planes.maker",{MODEL}}}'] == 1


def test_warnings_are_counted_by_kind_and_what_they_are_about(knowing: Served, record: dict[str, Any]) -> None:
    records = [
        {**record, "carrier": "ZZ", "tailnum": "N9"},
        {**record, "tailnum": None, "origin": "LGA"},
        {**record, "scheduled_departure": "2014-01-03T10:30:00"},
    ]
    content = TestClient(Application(knowing)).post("/predict", json={"records": records}).json()

    counted = {name: value for name, value in figures(knowing).items() if name.startswith("sextant_warnings_total")}

    assert counted == {
        f'sextant_warnings_total{{about="{about}",kind="{kind}",{MODEL}}}': 1
        for kind, about in [
            ("new_category", "carrier"),
            ("unseen_key", "planes"),
            ("missing_key", "planes"),
            ("too_old", "weather"),
            ("unseen_key", "origin"),
        ]
    } | {f'sextant_warnings_total{{about="weather",kind="too_old",{MODEL}}}': 2}
    assert content["warnings"][0][0] == "carrier 'ZZ' is new to the model, which knows 2 others"


def test_scores_and_decisions_are_distributions(knowing: Served, record: dict[str, Any]) -> None:
    client = TestClient(Application(knowing))
    scores = [client.post("/predict", json={**record, "distance": n}).json()["score"] for n in (0, 100, -2500, 500)]

    found = figures(knowing)

    buckets = {
        float(name.split('le="')[1].split('"')[0]): value
        for name, value in found.items()
        if name.startswith("sextant_score_bucket")
    }
    assert list(buckets) == [*tallies.SHARES, float("inf")]
    assert buckets == {bound: sum(score <= bound for score in scores) for bound in buckets}
    assert found[f'sextant_score_sum{{{MODEL},target=""}}'] == pytest.approx(sum(scores))
    decisions = {
        name: found[f'sextant_decisions_total{{decision="{name}",{MODEL},target=""}}'] for name in ("yes", "no")
    }
    assert decisions == {"yes": sum(s >= 0.9 for s in scores), "no": sum(s < 0.9 for s in scores)}


@pytest.mark.parametrize(
    ("task", "scores", "series"),
    [
        (
            Task("multiclass", ("a", "b", "c")),
            [[0.1, 0.6, 0.3], [0.92, 0.05, 0.03]],
            {
                'decisions_total{decision="a",M,target=""}': 1,
                'decisions_total{decision="b",M,target=""}': 1,
                'score_bucket{le="0.9",M,target=""}': 1,
                'score_bucket{le="+Inf",M,target=""}': 2,
            },
        ),
        (
            Task(several=("churn", "upgrade")),
            [[0.1, 0.6], [0.7, 0.6]],
            {
                'decisions_total{decision="no",M,target="churn"}': 1,
                'decisions_total{decision="yes",M,target="churn"}': 1,
                'decisions_total{decision="yes",M,target="upgrade"}': 2,
                'score_bucket{le="0.65",M,target="upgrade"}': 2,
                'score_sum{M,target="churn"}': 0.8,
            },
        ),
        (
            Task("regression"),
            [-3.0, 0.5, 2.0, 2.5],
            {
                'score_bucket{le="-1.0",M,target=""}': 1,
                'score_bucket{le="2.0",M,target=""}': 3,
                'score_bucket{le="+Inf",M,target=""}': 4,
                'score_sum{M,target=""}': 2.0,
            },
        ),
    ],
)
def test_each_task_has_its_scores_and_decisions(
    served: Served, record: dict[str, Any], task: Task, scores: list[Any], series: dict[str, float]
) -> None:
    predictor = served.require_predictor()
    prediction = predictor.predict([record] * len(scores))
    predictor.plan = replace(predictor.plan, task=task)
    predictor.model.thresholds = [0.5, 0.5] if task.targets else []
    predictor.model.quantiles = [-1.0, 2.0]
    served.metrics.tallies.add(predictor, replace(prediction, scores=scores))

    found = figures(served)

    for name, value in series.items():
        assert found["sextant_" + name.replace("M", MODEL)] == pytest.approx(value), name


def test_the_figures_of_a_model_are_there_before_it_is_asked(
    write_bundle: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SEXTANT_PREDICTIONS", raising=False)
    served = Served()
    served.start(write_bundle())

    found = figures(served)

    assert found[f"sextant_records_total{{{MODEL}}}"] == 0
    assert found[f'sextant_missing_values_total{{feature="distance",{MODEL}}}'] == 0


def test_the_workers_of_a_service_show_the_sums_of_all(
    write_bundle: Any, record: dict[str, Any], tmp_path: Path
) -> None:
    bundle, one, other = write_bundle(), Served(), Served()
    for served in (one, other):
        served.metrics_folder = tmp_path
        served.load(bundle)
        served.require_predictor().plan = replace(served.require_predictor().plan, task=Task("regression"))
        served.require_predictor().model.quantiles = [-1.0, 0.5]
    TestClient(Application(other)).post("/predict", json={"records": [record, {**record, "tailnum": None}]})
    other.metrics.share()
    (tmp_path / f"{os.getpid()}.prom").rename(tmp_path / "0.prom")

    TestClient(Application(one)).post("/predict", json={**record, "tailnum": None})

    found = figures(one)
    assert found[f"sextant_records_total{{{MODEL}}}"] == 3
    assert found[f'sextant_missing_values_total{{feature="planes.seats",{MODEL}}}'] == 2
    assert found[f'sextant_warnings_total{{about="planes",kind="missing_key",{MODEL}}}'] == 2
    assert found[f'sextant_score_count{{{MODEL},target=""}}'] == 3
    assert found[f'sextant_score_bucket{{le="-1.0",{MODEL},target=""}}'] == 0
    assert found[f'sextant_score_bucket{{le="+Inf",{MODEL},target=""}}'] == 3


def test_the_last_models_are_shown_and_no_more(served: Served, record: dict[str, Any]) -> None:
    predictor, shown = served.require_predictor(), Tallies()
    for number in range(MOST_MODELS + 3):
        predictor.name = f"flight_delays:{number}"
        shown.add(predictor, predictor.predict([record]))

    (records, *_) = shown.collect()

    assert [sample.labels["model"] for sample in records.samples] == [f"flight_delays:{n}" for n in range(3, 7)]


def test_threads_count_all(served: Served, record: dict[str, Any]) -> None:
    predictor, shown = served.require_predictor(), Tallies()
    prediction = predictor.predict([{**record, "distance": None, "tailnum": "N9"}] * 7)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(8) as threads:
            for _ in range(400):
                threads.submit(shown.add, predictor, prediction)
    finally:
        sys.setswitchinterval(interval)

    records, missing, _, warnings, scores, _ = shown.collect()

    assert records.samples[0].value == 2800
    assert {s.labels["feature"]: s.value for s in missing.samples}["distance"] == 2800
    assert [(s.labels["kind"], s.value) for s in warnings.samples] == [("unseen_key", 2800)]
    assert {s.labels.get("le"): s.value for s in scores.samples}["+Inf"] == 2800


def test_the_time_of_a_scrape_does_not_grow_with_what_was_asked(knowing: Served, record: dict[str, Any]) -> None:
    client = TestClient(Application(knowing))

    def ask(start: int) -> None:
        for number in range(start, start + 50):
            client.post("/predict", json={**record, "carrier": f"C{number}", "tailnum": f"N{number}", "origin": None})

    def calls_of_a_scrape() -> int:
        calls = 0

        def count(frame: Any, event: str, _: Any) -> None:
            nonlocal calls
            calls += event == "call"

        state = knowing.state()
        sys.setprofile(count)
        try:
            knowing.metrics.page(state)
        finally:
            sys.setprofile(None)
        return calls

    ask(0)
    figures(knowing)
    before, series = calls_of_a_scrape(), len(figures(knowing))
    for batch in range(1, 4):
        ask(50 * batch)
    calls_of_a_scrape()

    assert calls_of_a_scrape() == before
    assert len(figures(knowing)) == series
