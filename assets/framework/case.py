"""A use case as the asset graph knows it."""

from dataclasses import dataclass

import dagster as dg

from ml.declaration import case


@dataclass(frozen=True)
class Case(case.Case):
    """A use case: its name, which is the folder's, and what it declares."""

    def key(self, asset: str) -> dg.AssetKey:
        """Return the asset key of `models/lightgbm` and the like."""
        return dg.AssetKey([self.name, *asset.split("/")])
