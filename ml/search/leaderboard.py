"""The tuned families side by side."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

from ml.tasks.metrics import Metric


class Leaderboard(BaseModel):
    """The families with their validation scores, the best first: it is the candidate."""

    model_config = ConfigDict(frozen=True)

    metric: str
    ranking: tuple[tuple[str, float], ...]

    @property
    def candidate(self) -> str:
        return self.ranking[0][0]


def rank(scores: Mapping[str, float], metric: str) -> Leaderboard:
    """Rank families by score, those with equal scores by name."""
    sign = Metric.named(metric).sign
    ranking = sorted(scores.items(), key=lambda entry: (-sign * entry[1], entry[0]))
    return Leaderboard(metric=metric, ranking=tuple(ranking))
