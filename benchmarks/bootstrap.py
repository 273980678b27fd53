"""The bootstrap of one metric: resamples as weights of rows that are sorted once, against a loop over scikit-learn.

Both sides draw within each class; the loop resamples the rows and asks `roc_auc_score` about each resample. Its 95%
interval must be that of the weights, but for chance. `ratio` is the time of the loop for a resample over that of the
weights; `seconds` is for all resamples, of which the loop does few.
"""

import argparse
import json
import time
from collections.abc import Callable

import numpy as np
from sklearn.metrics import roc_auc_score

from ml.intervals.bootstrap import Resampling, estimates, strata_of
from ml.tasks.metrics import Metric

CONFIDENCE = 0.95


def main() -> None:
    """Print both sides and, last, one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--loops", type=int, default=200, help="resamples of the loop")
    arguments = parser.parse_args()
    y, p = rows(arguments.rows)
    sides = {
        "weights": timed(lambda: weights(y, p, arguments.resamples), arguments.resamples),
        "loop": timed(lambda: loop(y, p, arguments.loops), arguments.loops),
    }
    for name, side in sides.items():
        print(f"{name:<8} {side['resamples']:>6,} resamples in {side['seconds']:7.2f} s, interval {side['interval']}")
    apart = np.abs(np.subtract(sides["weights"]["interval"], sides["loop"]["interval"])).max()
    if apart > 0.25 * np.ptp(sides["weights"]["interval"]):
        raise SystemExit(f"the two intervals differ by {apart:.5f}")
    cost = {name: side["seconds"] / side["resamples"] for name, side in sides.items()}
    print(json.dumps({"name": "bootstrap", "ratio": round(cost["loop"] / cost["weights"], 1), "sides": sides}))


def rows(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw labels of which one in five is positive, and probabilities with an area under the ROC curve near 0.78."""
    random = np.random.default_rng(0)
    y = (random.random(count) < 0.2).astype("int8")
    return y, 1 / (1 + np.exp(-(random.normal(size=count) + 1.1 * y - 1.5)))


def weights(y: np.ndarray, p: np.ndarray, resamples: int) -> list[float]:
    """Return the interval as the evaluation makes it."""
    estimate = estimates(y, {"": Metric.named("roc_auc").prepare(y, p)}, Resampling(resamples, CONFIDENCE))[""]
    return [estimate.low, estimate.high]


def loop(y: np.ndarray, p: np.ndarray, resamples: int) -> list[float]:
    """Return the interval by a plain loop."""
    random, strata = np.random.default_rng(1), strata_of(y)
    scores = []
    for _ in range(resamples):
        drawn = np.concatenate([random.choice(stratum, len(stratum)) for stratum in strata])
        scores.append(roc_auc_score(y[drawn], p[drawn]))
    return np.quantile(scores, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]).tolist()


def timed(side: Callable[[], list[float]], resamples: int) -> dict:
    """Return the interval, with the time on the clock that it took."""
    started = time.perf_counter()
    interval = side()
    seconds = round(time.perf_counter() - started, 3)
    return {"seconds": seconds, "resamples": resamples, "interval": [round(end, 5) for end in interval]}


if __name__ == "__main__":
    main()
