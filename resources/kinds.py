"""The catalogue of stored kinds: a stable name for each class of ours that is stored, so that a class may move."""

import io
import pickle
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from ml.base.references import resolve
from ml.provenance.source import is_ours
from resources.formerly import FORMERLY

KINDS: Mapping[str, str] = {
    "encoder": "ml.tasks.encoding:Encoder",
    "ensemble_member": "ml.search.ensemble:Member",
    "explained": "ml.evaluation.explanations:Explained",
    "evaluation": "ml.evaluation.record:Evaluation",
    "feature_definitions": "ml.features.definitions:FeatureDefinitions",
    "feature_selection": "ml.search.selected_features:SelectedFeatures",
    "fitted_catboost": "ml.models.trees.catboost:FittedCatBoost",
    "fitted_ensemble": "ml.search.ensemble:FittedEnsemble",
    "fitted_forest": "ml.models.trees.forest:FittedForest",
    "fitted_hist_boosting": "ml.models.trees.hist_boosting:FittedHistBoosting",
    "fitted_lightgbm": "ml.models.trees.lightgbm:FittedLightGBM",
    "fitted_linear": "ml.models.linear:FittedLinear",
    "fitted_network": "ml.models.networks.family:FittedNetwork",
    "fitted_xgboost": "ml.models.trees.xgboost:FittedXGBoost",
    "importance": "ml.evaluation.explanations:Importance",
    "image_sizes": "ml.models.networks.shapes:ImageSizes",
    "leaderboard": "ml.search.leaderboard:Leaderboard",
    "network_shape": "ml.models.networks.shapes:Shape",
    "packaged_bento": "assets.stages.values:PackagedBento",
    "production_model": "assets.stages.values:ProductionModel",
    "tabular_sizes": "ml.models.networks.shapes:TabularSizes",
    "task": "ml.tasks.metrics:Task",
    "trial": "ml.search.study:Trial",
    "tuned_model": "ml.search.tuning:TunedModel",
}
_NAMES = {place: name for name, place in KINDS.items()}


class UnknownKindError(LookupError):
    """A stored kind names nothing that there is, or a class of ours has no stable name."""


def kind_of(value: BaseModel) -> str:
    """Return the stored kind of a Pydantic model: its stable name, or `json:module:name` of a user's own.

    Raises UnknownKindError for a class of this project that the catalogue lacks.
    """
    return stable_name(type(value)) or f"json:{_place(type(value))}"


def stable_name(kind: type) -> str | None:
    """Return the stable name of a class of this project, None for any other class.

    Raises UnknownKindError for a class of this project that the catalogue lacks.
    """
    if not is_ours(kind.__module__) or kind.__module__.startswith("configs."):
        return None
    name = _NAMES.get(_place(kind))
    if name is None:
        raise UnknownKindError(f"{_place(kind)} is stored and has no stable name: add one to resources/kinds.py")
    return name


def class_of(kind: str) -> Any:
    """Return the class of a stored kind, by its stable name or, as in older results, by its place.

    Raises UnknownKindError where there is none.
    """
    place = kind.removeprefix("json:")
    place = KINDS.get(FORMERLY.get(place, place), place)
    stored_class = resolve(place) if ":" in place else None
    if stored_class is None:
        raise UnknownKindError(f"a result is stored as {kind!r}, which is none of {sorted(KINDS)} and no class")
    return stored_class


def _place(kind: type) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"


def dumps(value: Any) -> bytes:
    """Return the pickle of a value, in which classes of this project go by their stable names."""
    sink = io.BytesIO()
    _Pickler(sink, protocol=5).dump(value)
    return sink.getvalue()


def loads(content: bytes) -> Any:
    """Return the value of a pickle that `dumps` made, or that names classes by the modules they were in."""
    return _Unpickler(io.BytesIO(content)).load()


class _Pickler(pickle.Pickler):
    def persistent_id(self, obj: Any) -> str | None:
        return stable_name(obj) if isinstance(obj, type) else None


class _Unpickler(pickle.Unpickler):
    def persistent_load(self, pid: Any) -> Any:
        return class_of(pid)

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        place = f"{module_name}:{global_name}"
        return class_of(place) if place in FORMERLY else super().find_class(module_name, global_name)
