"""Which of the features are trained on."""

import dagster as dg
import pandas as pd

from assets.step import Case, Step, asset
from ml.features.definitions import FeatureDefinitions
from ml.search.feature_selection import SelectedFeatures, select


def feature_selection(case: Case) -> dg.AssetsDefinition:
    """The asset `feature_selection`."""
    ins = {"development": "features/development", "feature_definitions": "feature_definitions"}

    @asset(case, "feature_selection", stage="features", kinds={"lightgbm"}, ins=ins)
    def feature_selection(
        step: Step, development: pd.DataFrame, feature_definitions: FeatureDefinitions
    ) -> SelectedFeatures:
        """The features that training reads, decided by training rows alone, and why each other one was dropped."""
        spec = case.spec
        made = select(case.name, development, feature_definitions, spec.features.selection, spec.seed, spec.task)
        dropped = pd.DataFrame(made.dropped.items(), columns=["dropped", "because"])
        step.show(kept=len(made.kept), dropped=len(dropped))
        if made.dropped:
            step.show(reasons=dg.MetadataValue.md(dropped.to_markdown(index=False)))
        if made.worth:
            worth = pd.DataFrame(made.worth.items(), columns=["kept", "share of the gain"])
            worth = worth.sort_values("share of the gain", ascending=False, kind="stable")
            step.show(worth=dg.MetadataValue.md(worth.to_markdown(index=False, floatfmt=".4f")))
        return made

    return feature_selection
