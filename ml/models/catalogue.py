"""The families of models that a use case can choose from."""

from collections.abc import Mapping
from types import MappingProxyType

from ml.models.custom import custom_family
from ml.models.extras import missing_package
from ml.models.family import Family
from ml.models.linear import Logistic, Ridge
from ml.models.networks.cnn import CNN
from ml.models.networks.mlp import MLP
from ml.models.networks.resnet import ResNet
from ml.models.trees.catboost import CatBoost
from ml.models.trees.forest import ExtraTrees, RandomForest
from ml.models.trees.hist_boosting import HistBoosting
from ml.models.trees.lightgbm import LightGBM
from ml.models.trees.xgboost import XGBoost

_MADE: tuple[Family, ...] = (
    Logistic(), Ridge(), RandomForest(), ExtraTrees(), HistBoosting(), LightGBM(), XGBoost(), CatBoost(), MLP(),
    ResNet(), CNN(),
)  # fmt: skip
FAMILIES: Mapping[str, Family] = MappingProxyType({made.name: made for made in _MADE})


def family(name: str) -> Family:
    """The family of this name, or the user's own at `package.module:Class`; raises ValueError if there is none."""
    if ":" in name:
        return custom_family(name)
    if name not in FAMILIES:
        raise ValueError(f"There is no model family {name!r}. Allowed: {sorted(FAMILIES)}, or a package.module:Class.")
    return FAMILIES[name]


def require_packages(chosen: Family) -> None:
    """Raises ValueError, which says what to install, if a package that the family needs is not there."""
    if problems := [problem for package in getattr(chosen, "requires", ()) if (problem := missing_package(package))]:
        raise ValueError(f"The family {chosen.name!r} cannot run: {'; '.join(problems)}")
