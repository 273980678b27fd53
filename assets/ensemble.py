"""The blend of a use case's families."""

import dagster as dg
import pandas as pd

from assets.step import Case, Step, asset
from ml.declaration.models import Ensemble
from ml.search.ensemble import blend
from ml.search.tuning import TunedModel
from resources.storage import Columns


def ensemble(case: Case, declared: Ensemble) -> dg.AssetsDefinition:
    """The asset `models/ensemble`."""
    ins = {name: f"models/{name}" for name in case.spec.models.families} | {"development": "features/development"}

    @asset(case, "models/ensemble", stage="models", kinds={"python"}, ins=ins)
    def ensemble(step: Step, development: Columns, **models: TunedModel) -> TunedModel:
        """A weighted mean of the other families' answers, selected greedily."""
        rows = development.read({"split", "target"})
        task = next(iter(models.values())).task
        y_train, y_valid = (task.labels(rows["target"][rows["split"] == name]) for name in ("train", "validation"))
        found, selection = blend(models, y_train, y_valid, rounds=declared.rounds)
        path = pd.DataFrame(selection.path, columns=["added", found.metric])
        step.show(
            weights=dict(selection.weights),
            selected_on="out-of-fold predictions" if selection.out_of_fold else "validation; its score is cross-fitted",
            path=dg.MetadataValue.md(str(path.to_markdown(index=False))),
        )
        step.run.params(found.params)
        step.metrics({found.metric: found.score}, prefix="validation ")
        return found

    return ensemble
