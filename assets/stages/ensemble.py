"""The blend of a use case's families."""

from collections.abc import Mapping

import dagster as dg
import pandas as pd

from assets import reads
from assets.framework.asset import asset
from assets.framework.case import Case
from assets.framework.step import Step
from ml.base.text import markdown_table
from ml.search.ensemble import Selection, blend
from ml.search.targets import concerning, together
from ml.search.tuning import TunedModel
from ml.tasks.counting import counting, counting_columns
from ml.tasks.labels import label
from ml.tasks.metrics import own_modules
from ml.tasks.targets import TARGET, of_target, target_column, target_name
from resources.storage import Columns


def ensemble(case: Case) -> dg.AssetsDefinition:
    """Return the asset `models/ensemble`."""
    ins = {name: f"models/{name}" for name in case.spec.models.families} | {"development": "features/development"}

    own = own_modules([case.spec.metric])

    @asset(case, "models/ensemble", stage="models", kinds={"python"}, reads=reads.ENSEMBLE, ins=ins, code=own)
    def ensemble(step: Step, development: Columns, **models: TunedModel) -> TunedModel:
        """A weighted mean of the other families' answers, selected greedily."""
        spec = step.case.spec
        declared = spec.models.ensemble
        assert declared is not None
        rounds, calibrate = declared.rounds, declared.calibrate
        task = next(iter(models.values())).task
        rows = development.read({"split", *task.columns, *counting_columns(spec.examples)})
        parts = [rows[rows["split"] == name] for name in ("train", "validation")]
        of_parts = (counting(spec.examples, parts[0]), counting(spec.examples, parts[1]))

        def blended(members: Mapping[str, TunedModel], column: str) -> TunedModel:
            y_train, y_valid = (task.alone.labels(part[column]) for part in parts)
            tuned, selection = blend(members, y_train, y_valid, rounds=rounds, counting=of_parts, calibrate=calibrate)
            _show(step, selection, label(tuned.metric, task.kind), target_name(column))
            return tuned

        if task.targets:
            of_targets = {}
            for target in task.targets:
                members = {name: model.of(target) for name, model in models.items()}
                with concerning(target):
                    of_targets[target] = blended(members, target_column(target))
            tuned = together(of_targets)
        else:
            tuned = blended(models, TARGET)
        step.run.params(tuned.params)
        step.metrics({label(tuned.metric, task.kind): tuned.score}, prefix="validation ")
        return tuned

    return ensemble


def _show(step: Step, selection: Selection, metric: str, target: str) -> None:
    """Show how a blend was selected, of several targets that of one."""
    path = pd.DataFrame(selection.path, columns=["added", metric])
    chosen = {
        "weights": dict(selection.weights),
        "selected on": "out-of-fold predictions" if selection.out_of_fold else "validation; its score is cross-fitted",
        "path": dg.MetadataValue.md(markdown_table(path)),
        **({"sharpness": selection.sharpness} if selection.sharpness != 1 else {}),
    }
    step.show(**{of_target(name, target): shown for name, shown in chosen.items()})
