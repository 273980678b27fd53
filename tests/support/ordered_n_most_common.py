"""featuretools' N_MOST_COMMON with the one thing settled that it leaves open."""

import featuretools.primitives as P  # noqa: N812
import numpy as np
import pandas as pd


class OrderedNMostCommon(P.NMostCommon):
    """Orders equally frequent values by the value, as the SQL does."""

    def get_function(self):
        def n_most_common(values: pd.Series) -> np.ndarray:
            counts = values.dropna().astype(object).value_counts()
            common = sorted(counts.index, key=lambda value: (-counts[value], value))[: self.n]
            return np.array([*common, *[np.nan] * (self.n - len(common))], dtype=object)

        return n_most_common
