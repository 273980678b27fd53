"""The choice of the features that are trained on."""

import dagster as dg
import pandas as pd

from assets import reads
from assets.framework.asset import asset
from assets.framework.case import Case
from assets.framework.step import Step
from ml.base.text import markdown_table
from ml.features.definitions import FeatureDefinitions
from ml.search.feature_selection import select
from ml.search.selected_features import SelectedFeatures


def feature_selection(case: Case) -> dg.AssetsDefinition:
    """Return the asset `feature_selection`."""
    ins = {"development": "features/development", "feature_definitions": "feature_definitions"}

    @asset(case, "feature_selection", stage="features", kinds={"lightgbm"}, reads=reads.FEATURE_SELECTION, ins=ins)
    def feature_selection(
        step: Step, development: pd.DataFrame, feature_definitions: FeatureDefinitions
    ) -> SelectedFeatures:
        """The features that training reads, decided by training rows alone, and why each other one was dropped."""
        spec = step.case.spec
        selected = select(
            step.case.name,
            development,
            feature_definitions,
            spec.features.selection,
            spec.seed,
            spec.task,
            spec.examples.target_columns,
        )
        step.show(kept=len(selected.kept), dropped=len(selected.dropped))
        if selected.dropped:
            dropped = pd.DataFrame(selected.dropped.items(), columns=["dropped", "because"])
            step.show(reasons=dg.MetadataValue.md(markdown_table(dropped)))
        if selected.worth:
            worth = pd.DataFrame(selected.worth.items(), columns=["kept", "share of the gain"])
            worth = worth.sort_values("share of the gain", ascending=False, kind="stable")
            step.show(worth=dg.MetadataValue.md(markdown_table(worth, ".4f")))
        return selected

    return feature_selection
