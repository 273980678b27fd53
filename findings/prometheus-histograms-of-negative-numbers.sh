#!/usr/bin/env bash
# prometheus_client leaves the count and the sum of a histogram out where its first bucket ends below 0.
#
# Versions: prometheus-client 0.26.0, Python 3.11.
# Expected: HistogramMetricFamily.add_metric(labels, buckets, sum_value) exports the buckets, `_count` and `_sum`, as
# its documentation says of `sum_value`; a rate of `_count` is how a dashboard asks how often something was observed.
# Behaviour: with buckets that begin at -1 both are missing, without a word: what such a panel shows is empty for a model
# that predicts changes, and right for one that predicts amounts. The class Histogram leaves out the sum alone.
# Seen: a first bound of 0.5: bucket, count, sum by both. Of -1: bucket by the family, bucket and count by the class.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  prometheus-client==0.26.0
venv/bin/python - <<'PYTHON'
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import HistogramMetricFamily


def family(bound: float) -> list[str]:
    metric = HistogramMetricFamily("score", "Scores")
    metric.add_metric([], [(str(bound), 1.0), ("+Inf", 2.0)], 3.0)
    return sorted({sample.name.removeprefix("score_") for sample in metric.samples})


def histogram(bound: float) -> list[str]:
    registry = CollectorRegistry()
    Histogram("score", "Scores", buckets=(bound,), registry=registry).observe(3.0)
    lines = [line for line in generate_latest(registry).decode().splitlines() if line.startswith("score_")]
    return sorted({line.partition("{")[0].partition(" ")[0].removeprefix("score_") for line in lines} - {"created"})


for bound in (0.5, -1.0):
    print(bound, family(bound), histogram(bound))
assert family(0.5) == histogram(0.5) == ["bucket", "count", "sum"], "what is exported of numbers above 0 changed"
assert family(-1.0) == ["bucket"], "what a family exports of numbers below 0 changed"
assert histogram(-1.0) == ["bucket", "count"], "what a histogram exports of numbers below 0 changed"
PYTHON
