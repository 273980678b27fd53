"""The catalogue of stored kinds: a stable name for each class of ours that is stored, so that a class may move.

It has those of results, what these hold, and what code of a user's own is handed. Any other class, a user's own or one
of ours that they store all the same, goes by its place, as in any pickle; one of ours that moves is then a line of
`FORMERLY`.
"""

import io
import pickle
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel

from ml.base.references import resolve
from ml.declaration.catalogue import CATALOGUE
from resources.formerly import FORMERLY

KINDS: Mapping[str, str] = {
    "ablated": "ml.evaluation.ablation:Ablated",
    "adapted_family": "ml.models.custom:Adapted",
    "calibration": "ml.intervals.calibration:Calibration",
    "checkpoint_folder": "ml.models.progress:CheckpointFolder",
    "compared": "ml.evaluation.slices:Compared",
    "conformal_interval": "ml.intervals.conformal:ConformalInterval",
    "coordinates": "ml.provenance.coordinates:Coordinates",
    "coverage": "ml.intervals.conformal:Coverage",
    "decisions": "ml.intervals.thresholds:Decisions",
    "encoder": "ml.tasks.encoding:Encoder",
    "ensemble_member": "ml.search.blended:Member",
    "estimate": "ml.intervals.bootstrap:Estimate",
    "evaluation": "ml.evaluation.record:Evaluation",
    "explained": "ml.evaluation.explanations:Explained",
    "fairness": "ml.evaluation.fairness:Fairness",
    "fairness_group": "ml.evaluation.fairness:Group",
    "feature": "ml.features.definitions:Feature",
    "feature_definitions": "ml.features.definitions:FeatureDefinitions",
    "feature_lookup": "ml.features.definitions:Lookup",
    "feature_selection": "ml.search.selected_features:SelectedFeatures",
    "feature_synthesis": "ml.features.definitions:Synthesis",
    "feature_view": "ml.features.definitions:View",
    "fitted_catboost": "ml.models.trees.catboost:FittedCatBoost",
    "fitted_ensemble": "ml.search.blended:FittedEnsemble",
    "fitted_forest": "ml.models.trees.forest:FittedForest",
    "fitted_hist_boosting": "ml.models.trees.hist_boosting:FittedHistBoosting",
    "fitted_lightgbm": "ml.models.trees.lightgbm:FittedLightGBM",
    "fitted_linear": "ml.models.linear:FittedLinear",
    "fitted_targets": "ml.models.joined:FittedTargets",
    "fitted_network": "ml.models.networks.family:FittedNetwork",
    "fitted_xgboost": "ml.models.trees.xgboost:FittedXGBoost",
    "history_entry": "resources.tracking.history:Entry",
    "image_sizes": "ml.models.networks.shapes:ImageSizes",
    "importance": "ml.evaluation.explanations:Importance",
    "interval": "ml.evaluation.record:Interval",
    "leaderboard": "ml.search.leaderboard:Leaderboard",
    "leak_audit": "ml.evaluation.record:LeakAudit",
    "loaded": "ml.provenance.coordinates:Loaded",
    "metric": "ml.tasks.metrics:Metric",
    "move": "ml.models.near_zero:Move",
    "moved_model": "ml.models.near_zero:Moved",
    "network_shape": "ml.models.networks.shapes:Shape",
    "objective": "ml.tasks.objectives:Objective",
    "packaged_bento": "assets.stages.values:PackagedBento",
    "production_model": "assets.stages.values:ProductionModel",
    "profile": "ml.profile.record:Profile",
    "profile_bar": "ml.profile.record:Bar",
    "profile_column": "ml.profile.record:ColumnProfile",
    "profile_coverage": "ml.profile.record:Coverage",
    "profile_drift": "ml.profile.record:Drift",
    "profile_pair": "ml.profile.record:Pair",
    "progress": "ml.models.progress:Progress",
    "reference": "ml.exported.reference:Reference",
    "registered_version": "resources.tracking.protocol:RegisteredVersion",
    "row_groups": "ml.tasks.counting:RowGroups",
    "row_weights": "ml.tasks.row_weights:RowWeights",
    "serving": "ml.evaluation.record:Serving",
    "slice": "ml.evaluation.slices:Slice",
    "stored": "resources.storage:Stored",
    "stored_file": "resources.storage:File",
    "stored_version": "resources.storage:Version",
    "tabular_sizes": "ml.models.networks.shapes:TabularSizes",
    "task": "ml.tasks.task:Task",
    "text_terms": "ml.declaration.features:Terms",
    "threshold": "ml.intervals.thresholds:Threshold",
    "training": "ml.models.family:Training",
    "transform": "ml.tasks.transforms:Transform",
    "transformed_model": "ml.models.near_zero:Transformed",
    "trial": "ml.search.study:Trial",
    "tuned_model": "ml.search.tuning:TunedModel",
    "verdict": "ml.verdict:Verdict",
    "vocabulary": "service.plan.texts:Vocabulary",
    "wrong_row": "ml.evaluation.wrong_rows:WrongRow",
    **{f"family_{line.name}": line.place for line in CATALOGUE.values()},
}
_NAMES = {place: name for name, place in KINDS.items()}


class UnknownKindError(LookupError):
    """A stored kind names nothing that there is, or there is no name by which a class could be found again."""


def kind_of(value: BaseModel) -> str:
    """Return the stored kind of a Pydantic model: its stable name, or `json:module:name` of a class without one.

    Raises UnknownKindError for a class that its place does not lead to, as one within a function: pickle refuses those.
    """
    kind = type(value)
    if name := stable_name(kind):
        return name
    if resolve(_place(kind)) is not kind:
        raise UnknownKindError(
            f"a result of the class {_place(kind)} cannot be loaded by that name: define it at the top of a module"
        )
    return f"json:{_place(kind)}"


def stable_name(kind: type) -> str | None:
    """Return the stable name of a class of this project, None for any class that the catalogue lacks."""
    return _NAMES.get(_place(kind))


def class_of(kind: str) -> Any:
    """Return the class of a stored kind, by its stable name or by its place.

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
    """Return the pickle of a value, in which classes of this project go by their stable names.

    Equal texts are written once, whichever of them are one object. That would be up to the process: a text that is read
    from a pickle becomes one object with another where some imported module has interned it, and two objects elsewhere.
    """
    try:
        return _written(_SharingPickler, value)
    except RecursionError:  # a value of more than about 240 levels, for which only the pickler in C has room
        return _written(_Pickler, value)


def _written(pickler: Callable[..., Any], value: Any) -> bytes:
    sink = io.BytesIO()
    pickler(sink, protocol=5).dump(value)
    return sink.getvalue()


def loads(content: bytes) -> Any:
    """Return the value of a pickle that `dumps` made, or that names classes by the modules they were in."""
    return _Unpickler(io.BytesIO(content)).load()


class _ByStableNames:
    def persistent_id(self, obj: Any) -> str | None:
        return stable_name(obj) if isinstance(obj, type) else None


class _Pickler(_ByStableNames, pickle.Pickler):
    pass


class _SharingPickler(_ByStableNames, pickle._Pickler):
    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._texts: dict[str, str] = {}

    def save(self, obj: Any, save_persistent_id: bool = True) -> None:
        if type(obj) is bytes and not obj:  # the memo may have it as the buffer of an empty array
            self.save_bytes(obj)  # type: ignore[attr-defined]
            return
        same = self._texts.setdefault(obj, obj) if type(obj) is str else obj
        super().save(same, save_persistent_id)  # type: ignore[misc]  # typeshed does not know it

    def memoize(self, obj: Any) -> None:
        """Remember what was written; all empty arrays have one buffer, which the pickler in Python takes amiss."""
        memo: dict[int, Any] = vars(self)["memo"]
        if not (type(obj) is bytes and not obj and id(obj) in memo):
            super().memoize(obj)  # type: ignore[misc]


class _Unpickler(pickle.Unpickler):
    def persistent_load(self, pid: Any) -> Any:
        return class_of(pid)

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        place = f"{module_name}:{global_name}"
        return class_of(place) if place in FORMERLY else super().find_class(module_name, global_name)
