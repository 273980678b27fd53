"""The parts of a declaration that each asset reads: it is handed these and no others.

Reuse, the identity of a study, whether an evaluation belongs to its model, and what a model carries of its declaration
follow from this page: a change of a part makes anew what reads it, and what is made of that.
"""

from collections.abc import Collection, Mapping
from typing import Any

from ml.declaration.reads import Reads
from ml.declaration.tables import SILENCE
from ml.exported.model import COPIED
from ml.tasks.transforms import applied

NOTHING = Reads()
_SILENCE = tuple(f"tables.*.{name}" for name in SILENCE)
# Of a table, where it comes from and what the audit wants of it are up to its snapshot alone, silences to a service.
TABLES = Reads(("tables",), without=("tables.*.source", "tables.*.audit", *_SILENCE))


def _of_features(declared: Mapping[str, Any]) -> dict[str, Any]:
    """Return by what rows are equal (what of a row becomes a feature, or finds others), and what has a history."""
    features, table = declared["features"], declared["examples"]["table"]
    histories = features["history"] or []
    histories = histories if isinstance(histories, list) else [histories]
    groups = [history["group_by"] for history in histories]
    return {
        "rows are equal by": {
            "features": [sorted(features["calendar"]), features["only"], features["ignore"]],
            "past": [groups, features["synthesis"] is not None],
            "relationships": [link for link in declared["relationships"] if f"{table}." in link],
        },
        "past of the target": [table in {history["table"] for history in histories}, features["at_cutoff"]],
    }


EXAMPLES = TABLES.and_also(
    Reads(
        ("task", "examples", "audit.target_apart_at_most", "audit.warn"),
        beside=("relationships", "features"),
        facts=(_of_features,),
    )
)
PROFILE = TABLES.and_also(
    Reads(("task", "relationships", "examples", "features.at_cutoff"), without=("examples.split",))
)
PROFILE_PAGE = Reads(("description",))
FEATURE_DEFINITIONS = TABLES.and_also(
    Reads(
        ("relationships", "examples", "features"),
        without=("features.selection", "examples.split"),
        beside=("evaluation.slices", "evaluation.sensitive"),  # to check the names in these
    )
)
MATRIX = TABLES.and_also(
    Reads(("task", "relationships", "examples", "features"), without=("features.selection", "examples.split"))
)
FEATURE_SELECTION = Reads(("task", "features.selection"), beside=("examples.target",))  # which names columns
LEADERBOARD = Reads(("metric",))
ENSEMBLE = Reads(("models.ensemble", "examples.weights", "examples.ranked_within"))
REFERENCE = Reads(
    ("objective", "evaluation.threshold", "evaluation.interval")
)  # by which a model brings these from validation
ONNX_MODEL = COPIED.but_for("seed").and_also(REFERENCE).and_also(Reads(("metric",)))
COMPARISON = ("gates.champion.confidence", "gates.champion.resamples", "gates.champion.rows")


def _baseline_confidence(declared: Mapping[str, Any]) -> dict[str, float]:
    """Return the confidence of the comparison with the trivial answer: the evaluation's where its gate is off."""
    return {"gates.baseline.confidence": (declared["gates"]["baseline"] or declared["evaluation"])["confidence"]}


EVALUATION = TABLES.and_also(
    Reads(
        ("task", "metric", "examples", "evaluation", *COMPARISON),
        beside=("gates.baseline", "gates.plausible"),
        facts=(_baseline_confidence,),
    )
)
REPORT = Reads(
    ("description", "owners", "task", "objective", "metric", "tables", "examples", "evaluation", "gates", "production"),
    without=("tables.*.source", "tables.*.audit", *_SILENCE),
)
PRODUCTION_MODEL = REPORT
SCORE = Reads(("score", "tables.*.sample"))
BENTO = SCORE.and_also(Reads(("bento",)))
ONLINE_STATE = SCORE.and_also(Reads(_SILENCE))


def raw(table: str, examples: bool) -> Reads:
    """Return what the snapshot of a table is made by; that of the `examples` has times where features need them."""
    times = ("features.calendar", "examples.cutoff") if examples else ()
    without = tuple(("tables", table, name) for name in SILENCE)
    return Reads((("tables", table), "examples.table", *times), without=without)


def features(splits: Collection[str]) -> Reads:
    """Return what a feature matrix of these splits is made by; single features are judged on training rows alone."""
    return MATRIX.and_also(Reads(("audit.warn", *(["audit.alone_at_most"] if "train" in splits else []))))


def _groups(declared: Mapping[str, Any]) -> dict[str, bool]:
    """Return whether several rows may have one key, and whether groups may be in two parts of a split by dates."""
    shared = "no_group_in_two_splits" in declared["audit"]["warn"]
    return {"rows of a query": declared["examples"]["query"] is not None, "groups are shared": shared}


ROWS_BESIDE = ("examples.query", "examples.target", "audit.warn")  # a search decides by facts that follow from these


def _learned_as(declared: Mapping[str, Any]) -> dict[str, str]:
    """Return the transform of the target that models learn, where there is one."""
    of_column = applied(declared["examples"]["target"]) if declared["task"] == "regression" else None
    return {"target learned as": of_column[0]} if of_column else {}


def _blended(declared: Mapping[str, Any]) -> dict[str, int]:
    """Return how many trials of a family take part in the ensemble, where it is more than one."""
    best = (declared["models"]["ensemble"] or {}).get("best", 1)
    return {"trials in the ensemble": best} if best > 1 else {}


def search(name: str) -> Reads:
    """Return what each trial of a family's study depends on, but not how many there are; `name` is as declared."""
    beside = ("trials", "gpu", "gpu_share", "tolerance", "refit", "refit_seeds", "keep")
    return Reads(
        (
            *("task", "objective", "monotone", "metric", "tuning", ("models", name), "examples.table", "tables.*.key"),
            *("examples.split", "examples.weights", "examples.ranked_within"),
        ),
        beside=(*ROWS_BESIDE, "tuning.workers", *(("models", name, field) for field in beside)),
        facts=(_groups, _learned_as),
    )


def model(name: str) -> Reads:
    """Return what a tuned model is made by; `name` is as declared."""
    trials = search(name)
    how = ("tuning.workers", ("models", name, "gpu"), ("models", name, "gpu_share"), "models.ensemble.best")
    return Reads(trials.deciding, beside=(*how, *ROWS_BESIDE), facts=(*trials.facts, _blended))
