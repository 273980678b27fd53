"""The catalogue of model families: a new one is a file and a line of it.

A line names its class as text. So a declaration, and whoever reads one, imports no family: the code of each would
otherwise be part of what every asset is made by.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ml.declaration.families import Family, ImageFamily, TorchFamily
from ml.tasks.task import Kind

CLASSES: tuple[Kind, ...] = ("binary", "multiclass")
ALL: tuple[Kind, ...] = (*CLASSES, "regression")


@dataclass(frozen=True)
class Entry:
    """A family's line: the name that declarations use, its class, and what is known of it without importing that.

    `icon` is the kind that Dagster draws beside its model; `requires` are packages beyond those that every
    installation has; `declared_by` is what a declaration may say of it.
    """

    name: str
    place: str
    tasks: tuple[Kind, ...]
    icon: str
    description: str
    requires: tuple[str, ...] = ()
    declared_by: type[Family] = Family


# fmt: off
_ENTRIES = (
    Entry("logistic", "ml.models.linear:Logistic", CLASSES, "scikitlearn",
          "Regularized logistic regression, for classes."),
    Entry("ridge", "ml.models.linear:Ridge", ("regression",), "scikitlearn",
          "Regularized linear regression, for numbers."),
    Entry("random_forest", "ml.models.trees.forest:RandomForest", ALL, "scikitlearn", "Trees on bootstrap samples."),
    Entry("extra_trees", "ml.models.trees.forest:ExtraTrees", ALL, "scikitlearn",
          "Trees with thresholds drawn at random."),
    Entry("hist_boosting", "ml.models.trees.hist_boosting:HistBoosting", ALL, "scikitlearn",
          "Gradient-boosted trees of scikit-learn."),
    Entry("lightgbm", "ml.models.trees.lightgbm:LightGBM", ALL, "lightgbm", "Gradient-boosted trees."),
    Entry("xgboost", "ml.models.trees.xgboost:XGBoost", ALL, "xgboost",
          "Gradient-boosted trees; needs the extra `boosters`.", requires=("xgboost",)),
    Entry("catboost", "ml.models.trees.catboost:CatBoost", ALL, "catboost",
          "Gradient-boosted oblivious trees; needs the extra `boosters`.", requires=("catboost",)),
    Entry("mlp", "ml.models.networks.mlp:MLP", ALL, "pytorch",
          "A small torch network with embeddings for categories.", declared_by=TorchFamily),
    Entry("resnet", "ml.models.networks.resnet:ResNet", ALL, "pytorch",
          "A residual torch network with embeddings for categories.", declared_by=TorchFamily),
    Entry("cnn", "ml.models.networks.cnn:CNN", ALL, "pytorch",
          "A small residual torch network for images; columns are pixels.", declared_by=ImageFamily),
)
# fmt: on
CATALOGUE: Mapping[str, Entry] = MappingProxyType({entry.name: entry for entry in _ENTRIES})


def entry(name: str) -> Entry:
    """Return the line of a family; raises ValueError, which lists the allowed names, if there is none."""
    if name not in CATALOGUE:
        raise ValueError(f"There is no model family {name!r}. Allowed: {sorted(CATALOGUE)}, or a package.module:Class.")
    return CATALOGUE[name]


def families_for(task: Kind) -> list[str]:
    """Return the names of the families that can learn a kind of task."""
    return [name for name, line in CATALOGUE.items() if task in line.tasks]


def module_of(name: str) -> str:
    """Return the module that holds a family's class, or that of the user's own at `package.module:Class`."""
    return (name if ":" in name else entry(name).place).partition(":")[0]


def icon_of(name: str) -> str:
    """Return the kind that Dagster draws beside a family's model; a family of the user's own has Python's."""
    return "python" if ":" in name else entry(name).icon
