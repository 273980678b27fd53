"""The record of a profile: figures of the examples, of each column, and of pairs of columns."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from ml.intervals.bootstrap import Estimate
from ml.profile.columns import ColumnKind
from ml.tasks.task import Kind

Holds = Literal["values", "others", "missing"]


class Bar(BaseModel):
    """One bar of a distribution: the share of each split's rows with a value in it, and the mean target in training.

    The mean is None where no training row has such a value, and where the target is a class of many. What it holds are
    the `values` that its label names, the `others` of a column of texts, or `missing` ones.
    """

    model_config = ConfigDict(frozen=True)

    label: str
    holds: Holds = "values"
    shares: dict[str, float]
    target: float | None = None


class Drift(BaseModel):
    """The distance of a column's distribution in another split from that in training, from 0 to 1.

    Of numbers it is the statistic of Kolmogorov and Smirnov, of texts the total variation. `p_value` is that of
    Kolmogorov and Smirnov, or of the chi-squared test. `unseen` is the share of rows with a text that no training row
    has, of all rows.
    """

    model_config = ConfigDict(frozen=True)

    distance: float
    p_value: float
    unseen: float = 0.0


class ColumnProfile(BaseModel):
    """The figures of one column; `missing` is the share of each split's rows.

    `quantiles` are those of 0, 5, 50, 95 and 100% of the finite numbers, or of times in seconds since 1970. `alone` is
    what the column by itself tells of the target, `order` Spearman's correlation with it; both are None where they are
    undefined, and of several targets they are about `target`. `by_chance` is the p-value of a column that tells
    nothing. `drift` has the splits other than training.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    table: str
    kind: ColumnKind
    type: str
    missing: dict[str, float]
    distinct: int
    infinite: int = 0
    quantiles: tuple[float, ...] = ()
    bars: tuple[Bar, ...] = ()
    alone: Estimate | None = None
    target: str = ""
    by_chance: float = 1.0
    order: float | None = None
    drift: dict[str, Drift] = {}
    same_as: str | None = None


class Pair(BaseModel):
    """Two columns that tell of each other: how much, from 0 to 1 (or -1, of an order), and by which measure."""

    model_config = ConfigDict(frozen=True)

    one: str
    other: str
    association: float
    measure: str


class Coverage(BaseModel):
    """The examples in time: of each span of a `unit`, from its start on, the rows of each split, and the mean target.

    The mean is that of training and validation rows; None where there is none of them, and for many classes.
    """

    model_config = ConfigDict(frozen=True)

    unit: str
    starts: tuple[str, ...]
    rows: dict[str, tuple[int, ...]]
    target: tuple[float | None, ...]
    bounds: dict[str, tuple[str, str]]


class Profile(BaseModel):
    """The profile of the examples and of the columns that are known at their cutoff, the most telling column first.

    `sampled` is how many rows of a split relations, associations and distances are of, `measure` the metric of what a
    column alone tells, and `targets` are the names of several. `heatmap` names the columns whose `associations` with
    each other are there.
    """

    model_config = ConfigDict(frozen=True)

    task: Kind
    targets: tuple[str, ...] = ()
    rows: dict[str, int]
    target: dict[str, dict[str, float]]
    measure: Literal["roc_auc", "r2"]
    confidence: float
    sampled: dict[str, int]
    coverage: Coverage | None
    columns: tuple[ColumnProfile, ...]
    heatmap: tuple[str, ...]
    associations: tuple[tuple[float, ...], ...]
    pairs: tuple[Pair, ...]
    associated: int
    findings: tuple[str, ...]
    coordinates: str = ""

    @property
    def chance(self) -> float:
        """The value that a column which tells nothing reaches."""
        return 0.5 if self.measure == "roc_auc" else 0.0
