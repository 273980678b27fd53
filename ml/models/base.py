"""The names that a family of the user's own imports: `from ml.models.base import Family`."""

from ml.models.family import Family, FittedModel, Training

__all__ = ["Family", "FittedModel", "Training"]
