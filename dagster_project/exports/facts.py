"""Facts: what a bundle says of its model to whoever asks that without the service."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from service.plan.document import Task
from service.predict.predictor import Predictor, load_predictor


@dataclass(frozen=True)
class Facts:
    """A model's names, its input nodes and the order of the features in each, and the type of its output `score`.

    `example` are the inputs of the first golden record, and `answer` what they are answered with.
    """

    use_case: str
    version: str
    coordinates: str
    task: Task
    thresholds: Sequence[float]
    features: Mapping[str, Sequence[str]]
    types: Mapping[str, str]
    answered: str
    example: Mapping[str, Any]
    answer: Any

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the probabilities of an answer; none where an answer is one number."""
        return self.task.targets or self.task.classes


def facts(bundle: Path) -> Facts:
    """Return the facts of the model in a bundle; raises BundleError where it cannot be loaded."""
    predictor = load_predictor(bundle)
    model, inputs = predictor.model, predictor.model.inputs
    texts = [feature for vocabulary in inputs.texts for feature in vocabulary.features]
    features = {"numeric": [*inputs.numeric, *texts], "categorical": list(inputs.categorical)}
    nodes = {node.name: node for node in model.session.get_inputs()}
    use_case, _, version = predictor.name.partition(":")
    return Facts(
        use_case,
        version,
        predictor.id,
        predictor.plan.task,
        predictor.thresholds,
        {name: features[name] for name in nodes},
        {name: node.type for name, node in nodes.items()},
        next(node.type for node in model.session.get_outputs() if node.name == "score"),
        *_example(predictor, list(nodes)),
    )


def _example(predictor: Predictor, names: Sequence[str]) -> tuple[dict[str, Any], Any]:
    if predictor.example is None:
        return {}, None
    matrices = predictor.features([predictor.example])
    return {name: np.asarray(getattr(matrices, name)) for name in names}, predictor.golden.scores[0]
