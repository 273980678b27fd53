"""The blend of a use case's families."""

import dagster as dg
import pandas as pd

from assets import reads
from assets.framework.asset import asset
from assets.framework.case import Case
from assets.framework.step import Step
from ml.base.text import markdown_table
from ml.search.ensemble import blend
from ml.search.tuning import TunedModel
from ml.tasks.metrics import own_modules
from ml.tasks.row_weights import metric_weights, weight_columns
from resources.storage import Columns


def ensemble(case: Case) -> dg.AssetsDefinition:
    """Return the asset `models/ensemble`."""
    ins = {name: f"models/{name}" for name in case.spec.models.families} | {"development": "features/development"}

    own = own_modules([case.spec.metric])

    @asset(case, "models/ensemble", stage="models", kinds={"python"}, reads=reads.ENSEMBLE, ins=ins, code=own)
    def ensemble(step: Step, development: Columns, **models: TunedModel) -> TunedModel:
        """A weighted mean of the other families' answers, selected greedily."""
        spec = step.case.spec
        declared, how = spec.models.ensemble, spec.examples.weights
        assert declared is not None
        rows = development.read({"split", "target", *weight_columns(how)})
        task = next(iter(models.values())).task
        parts = [rows[rows["split"] == name] for name in ("train", "validation")]
        y_train, y_valid = (task.labels(part["target"]) for part in parts)
        train, valid = (metric_weights(how, part) for part in parts)
        tuned, selection = blend(
            models,
            y_train,
            y_valid,
            rounds=declared.rounds,
            counting=(train, valid),
            calibrate=declared.calibrate,
        )
        path = pd.DataFrame(selection.path, columns=["added", tuned.metric])
        step.show(
            weights=dict(selection.weights),
            selected_on="out-of-fold predictions" if selection.out_of_fold else "validation; its score is cross-fitted",
            path=dg.MetadataValue.md(markdown_table(path)),
            **({"sharpness": selection.sharpness} if declared.calibrate else {}),
        )
        step.run.params(tuned.params)
        step.metrics({tuned.metric: tuned.score}, prefix="validation ")
        return tuned

    return ensemble
