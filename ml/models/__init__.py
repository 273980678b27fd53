"""The families of models that a use case can choose from."""

from collections.abc import Mapping
from types import MappingProxyType

from ml.models.base import Family, FittedModel, Training
from ml.models.lightgbm import LightGBM
from ml.models.linear import Logistic, Ridge
from ml.models.mlp import MLP

__all__ = ["FAMILIES", "Family", "FittedModel", "Training", "family"]

FAMILIES: Mapping[str, Family] = MappingProxyType({made.name: made for made in (LightGBM(), Logistic(), MLP(), Ridge())})


def family(name: str) -> Family:
    """The family of this name; raises ValueError that lists the allowed ones."""
    if name not in FAMILIES:
        raise ValueError(f"There is no model family {name!r}. Allowed: {sorted(FAMILIES)}.")
    return FAMILIES[name]
