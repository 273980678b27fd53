"""Names of metrics for people."""

from ml.tasks.task import Kind

# Metrics of two classes that see yes and no alone, yes being 0.5 or more; so does F-beta, whose names have its number.
AT_HALF = frozenset({"accuracy", "f1_macro", "balanced_accuracy", "mcc", "kappa"})


def label(metric: str, kind: Kind) -> str:
    """Return the name of a metric that says where the decision falls which it is about."""
    return f"{metric} at 0.5" if kind == "binary" and (metric in AT_HALF or metric.startswith("fbeta_")) else metric


def at_threshold(rate: str) -> str:
    """Return the name of a rate of the decisions that a model's own threshold makes."""
    return f"{rate} at the threshold"
