"""The dashboard and the alerts: they ask for figures that a service has."""

from __future__ import annotations

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from service.http.app import Application
from service.http.figures import Figures
from service.http.request_log import RequestLog
from service.http.rollout import Rollout
from service.http.served import Served
from service.predictions.log import PredictionLog
from service.predictions.settings import PredictionSettings

DEPLOY = Path(__file__).parents[2] / "deploy"
DASHBOARD = json.loads((DEPLOY / "grafana" / "sextant.json").read_text())
RULES = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())["groups"][0]["rules"]
PANELS = DASHBOARD["panels"]


@pytest.fixture
def series(write_bundle: Any, plan: Any, record: dict[str, Any], tmp_path: Path) -> dict[str, set[str]]:
    """Return the labels of each series of a service that was asked, and that logs."""
    source = {"table": "flights", "time": "departed_at", "file": "flights.parquet", "within_s": 14400}
    served = Served()
    served.load(write_bundle({**plan, "sources": [source]}))
    served.requests, served.predictions = RequestLog(tmp_path / "l"), PredictionLog(PredictionSettings(str(tmp_path)))
    served.rollout, served.figures = Rollout(follow=5.0), Figures()
    for collector in (served.requests, served.predictions, served.figures):
        served.metrics.add(collector)
    served.figures.compared("flight_delays:4", [0.1], [True])
    encoder = {"carrier": ["UA"]}
    served.require_predictor().model.categories, served.require_predictor().model.thresholds = encoder, [0.5]
    client = TestClient(Application(served))
    client.post("/predict", json={**record, "tailnum": "N9"})
    client.post("/predict", json={"records": [record]})
    client.get("/nowhere")
    labels: dict[str, set[str]] = {}
    for metric in text_string_to_metric_families(client.get("/metrics").text):
        for sample in metric.samples:
            labels.setdefault(sample.name, set()).update(sample.labels)
    served.close()
    return labels


def expressions() -> list[str]:
    """Return all expressions of the dashboard and the alerts."""
    asked = [target["expr"] for panel in PANELS for target in panel.get("targets", [])]
    asked += [note["expr"] for note in DASHBOARD["annotations"]["list"]]
    asked += [variable["query"]["query"] for variable in DASHBOARD["templating"]["list"] if variable["type"] == "query"]
    return asked + [rule["expr"] for rule in RULES]


def test_all_that_is_asked_for_exists_with_its_labels(series: dict[str, set[str]]) -> None:
    scraped = {"job", "instance"}  # that Prometheus adds

    for expression in expressions():
        for name, selected in re.findall(r"(sextant_\w+)(?:\{([^}]*)\})?", expression):
            assert name in series, expression
            used = set(re.findall(r"(\w+)=", selected))
            assert used <= series[name] | scraped, (name, used)
        named = re.findall(r"(?:by|on) \(([^)]*)\)", expression)
        grouped = {label.strip() for group in named for label in group.split(",") if label.strip()}
        assert grouped <= set().union(*series.values()) | scraped, expression
        assert expression.count("(") == expression.count(")")


def test_all_figures_of_ours_are_shown(series: dict[str, set[str]]) -> None:
    asked = set(re.findall(r"sextant_\w+", " ".join(expressions())))

    hidden = {name for name in series if name.startswith("sextant_") and name not in asked}

    assert {re.sub("_(bucket|sum|count)$", "", name) for name in hidden} <= {
        re.sub("_(bucket|sum|count)$", "", name) for name in asked
    }


def test_the_dashboard_has_what_grafana_needs() -> None:
    assert DASHBOARD["schemaVersion"] >= 39
    assert (DASHBOARD["uid"], DASHBOARD["title"]) == ("sextant", "Sextant services")
    assert [variable["name"] for variable in DASHBOARD["templating"]["list"]] == [
        "datasource",
        "use_case",
        "job",
        "route",
    ]
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    assert all({"type", "title", "gridPos"} <= panel.keys() for panel in PANELS)
    for panel in PANELS:
        assert panel["type"] == "row" or panel["targets"]
        assert all(target["datasource"]["uid"] == "${datasource}" for target in panel.get("targets", []))


def test_panels_lie_on_the_grid_beside_each_other() -> None:
    cells = [
        {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        for at in (panel["gridPos"] for panel in PANELS)
    ]

    assert all(0 <= x < 24 for covered in cells for x, _ in covered)
    assert not any(one & other for one, other in combinations(cells, 2))


def test_alerts_say_what_happened() -> None:
    assert len({rule["alert"] for rule in RULES}) == len(RULES) > 3
    assert all(rule["annotations"]["summary"] and rule["labels"]["severity"] for rule in RULES)
