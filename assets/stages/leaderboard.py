"""The tuned families side by side."""

import dagster as dg
import pandas as pd

from assets import reads
from assets.framework.asset import asset
from assets.framework.case import Case
from assets.framework.step import Step
from ml.base.text import markdown_table
from ml.search.leaderboard import Leaderboard, rank
from ml.search.tuning import TunedModel
from ml.tasks.labels import label
from ml.tasks.metrics import own_modules


def leaderboard(case: Case) -> dg.AssetsDefinition:
    """Return the asset `leaderboard`."""
    ins = {name: f"models/{name}" for name in case.spec.models.names}

    own = own_modules([case.spec.metric])

    @asset(case, "leaderboard", stage="models", kinds={"pandas"}, reads=reads.LEADERBOARD, ins=ins, code=own)
    def leaderboard(step: Step, **models: TunedModel) -> Leaderboard:
        """The tuned families side by side on validation; names the candidate."""
        board = rank({name: tuned.score for name, tuned in models.items()}, step.case.spec.metric)
        metric = label(board.metric, next(iter(models.values())).task.kind)
        table = pd.DataFrame(board.ranking, columns=["family", f"validation {metric}"])
        step.show(candidate=board.candidate, leaderboard=dg.MetadataValue.md(markdown_table(table)))
        step.metrics(dict(board.ranking))
        return board

    return leaderboard
