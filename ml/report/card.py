"""The model card: what a model is for, what it was made of, where its limits are, and who approved it.

Its headings follow Mitchell et al. 2019, Model cards for model reporting, FAT*.
"""

from collections.abc import Iterator
from typing import Any

from ml.base.text import percent
from ml.declaration.use_case import UseCaseSpec
from ml.evaluation.record import Evaluation
from ml.tasks.metrics import Metric
from ml.tasks.targets import of_target

Card = dict[str, list[str]]


def model_card(name: str, spec: UseCaseSpec, evaluation: Evaluation, coordinates: dict[str, Any]) -> Card:
    """Write the card: its sentences by heading."""
    return {
        "Purpose": list(_purpose(spec)),
        "Model": list(_model(spec, evaluation)),
        "Data": list(_data(spec, evaluation, coordinates)),
        "Limits": list(_limits(spec, evaluation)),
        "Leak audit": [_leak_audit(evaluation)],
        "Approval": [_approval(name, spec)],
    }


def _purpose(spec: UseCaseSpec) -> Iterator[str]:
    yield spec.description
    answers = {
        "binary": "It answers the probability of yes.",
        "multiclass": "It answers the probability of each class.",
        "regression": "It answers a number.",
    }
    targets = f" It does so for each of {', '.join(spec.examples.targets)}." if spec.examples.targets else ""
    yield answers[spec.task] + targets
    yield f"Owners: {', '.join(spec.owners) if spec.owners else 'none are declared'}."


def _model(spec: UseCaseSpec, evaluation: Evaluation) -> Iterator[str]:
    yield f"Family: {evaluation.family}, with {len(evaluation.importances)} features; SHA-256 {evaluation.model_hash}."
    if (reference := evaluation.reference) is None:
        return
    yield (
        f"It won on {reference.validation_rows:,} validation rows with {evaluation.label(reference.metric)} "
        f"{reference.validation[reference.metric]:.4f}; seed {spec.seed}."
    )
    of_targets = {name: reference.targets[name] for name in evaluation.targets}
    for target, alone in (of_targets or {"": reference}).items():
        if (threshold := alone.threshold) is not None:
            answer = f"the answer about {target}" if target else "the answer"
            yield (
                f"From a probability of {threshold.value:.4f} on {answer} is yes. That was chosen on validation rows "
                f"for the {threshold.objective} ({threshold.reached:.4f} there)."
            )


def _data(spec: UseCaseSpec, evaluation: Evaluation, coordinates: dict[str, Any]) -> Iterator[str]:
    where = f" where {spec.examples.where}" if spec.examples.where else ""
    source = "the rows of a query" if spec.examples.query else f"the rows of {spec.examples.table}{where}"
    several = [name if f'"{name}"' == text else f"{name} ({text})" for name, text in spec.examples.targets.items()]
    target = f"the targets are {', '.join(several)}" if several else f"the target is {spec.examples.one_target}"
    given = several or spec.examples.one_target
    yield f"Examples are {source}; {target if given else 'the target is what the query gives'}."
    if evaluation.reference:
        counts = evaluation.reference.train_rows, evaluation.reference.validation_rows, evaluation.rows
        yield "Trained on {:,} rows, chosen on {:,} validation rows, judged on {:,} test rows.".format(*counts)
    split = spec.examples.split.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    yield f"Split: {', '.join(f'{part} {value}' for part, value in split.items()) or 'by the defaults'}."
    tables = {table: coordinates.get("data", {}).get(f"raw_{table}") for table in spec.tables}
    yield f"Tables: {', '.join(f'{table} ({_short_hash(data)})' for table, data in sorted(tables.items()))}."


def _short_hash(coordinate: Any) -> str:
    content = coordinate.get("hash") if isinstance(coordinate, dict) else coordinate
    return str(content)[:12] if content else "see the coordinates"


def _limits(spec: UseCaseSpec, evaluation: Evaluation) -> Iterator[str]:
    if spec.samples:
        yield f"It has seen samples alone, for a first look, and is never promoted: {spec.samples}."
    if evaluation.period:
        yield f"Test rows are from {evaluation.period[0]} to {evaluation.period[1]}: of other times nothing is known."
    yield "A category that training did not see counts as missing."
    yield f"Nothing is known of groups of fewer than {spec.evaluation.slice_rows} test rows."
    for target, alone in {"": evaluation, **evaluation.targets}.items():
        yield from _worst_slices(of_target(alone.label(spec.metric), target), spec.metric, alone)
    yield from _related_rows(spec)
    for target, alone in {"": evaluation, **evaluation.targets}.items():
        if (calibration := alone.calibration) and calibration.error > calibration.by_chance:
            yield (
                f"{of_target('Its probabilities', target)} are off by {calibration.error:.4f} on average, more than "
                f"chance explains ({calibration.by_chance:.4f})."
            )
    if (coverage := evaluation.coverage) and coverage.covered.high < coverage.wanted:
        yield f"Its interval holds fewer rows than the {percent(coverage.wanted)} wanted: {coverage.covered.value:.1%}."
    if not spec.evaluation.sensitive:
        yield "No sensitive column is declared (evaluation.sensitive), so that nothing is known of its fairness."
    if evaluation.reference and len(evaluation.reference.refit_scores) < 2:
        yield "It was trained with one seed: how much of its score is luck is not known (models.<family>.refit_seeds)."


def _worst_slices(title: str, metric: str, evaluation: Evaluation) -> Iterator[str]:
    worse = [part.name for part in evaluation.slices if part.found]
    if not worse:
        return
    yield f"Its {title} is worse than elsewhere on {'; '.join(worse)}."
    if Metric.named(metric).ranks:
        yield (
            f"Within a range of a feature that tells much, rows are alike and hard to rank: there a lower "
            f"{evaluation.label(metric)} is usual and no proof of a fault."
        )
    else:
        yield "That is no proof of a fault: some rows are harder than others."


def _related_rows(spec: UseCaseSpec) -> Iterator[str]:
    """Yield a warning where rows have something in common: they are not as many as the bootstrap counts.

    Those that are ranked within a group are drawn with it.
    """
    groups = [spec.examples.split.group, " and ".join(spec.keys) if spec.examples.query else None]
    shared = [name for name in dict.fromkeys(groups) if name and name != spec.examples.ranked_within]
    if shared:
        yield (
            f"Intervals and gates count test rows of the same {' or '.join(shared)} as if they had nothing in common: "
            "where such rows are alike, the intervals are too narrow."
        )


def _leak_audit(evaluation: Evaluation) -> str:
    if evaluation.leak_audit is None:
        return "The problem has no cutoff, so that there is no future to leak from."
    return f"{'Passed' if evaluation.leak_audit.passed else 'FAILED'}: {evaluation.leak_audit.reason}."


def _approval(name: str, spec: UseCaseSpec) -> str:
    where = (
        f"Who approved which version, when and why is in the history of the asset {name}/production_model and in the "
        f"tags sextant.approved_by, sextant.approved_reason and sextant.approved_at of the registered model {name}."
    )
    if spec.production.approval == "required":
        return (
            f"Not approved when this was written: it waits for `sextant approve {name} <version> --reason …`. {where}"
        )
    return f"No approval is asked for (production.approval is automatic): the gates decide. {where}"
