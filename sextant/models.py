"""Models: a registered version, asked in this process by the very code and files that its Bento answers by."""

import warnings
from collections.abc import Mapping, Sequence
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sextant.errors import NotFound, SextantError
from sextant.places import prepared
from sextant.reports import Report, report_on
from sextant.results import Coordinates, record_of
from sextant.show import bars, card, markdown_card, sections, text_card

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from service.predict.predictor import Predictor

MOST_ROWS = 1000  # to be explained at once: each takes thousands of answers
SHOWN_ROWS, SHOWN_FEATURES, SHOWN_TEXT = 3, 8, 60


class Model:
    """A version of a use case's model. `predict` and `explain` need its Bento, which `materialize` makes."""

    def __init__(self, use_case: str, version: str, record: dict[str, Any], home: Path) -> None:
        self.use_case, self.version, self.home = use_case, version, home
        self._record = record

    @property
    def name(self) -> str:
        """The name that its answers bear, such as `flight_delays:1`."""
        return f"{self.use_case}:{self.version}"

    @property
    def record(self) -> dict[str, str]:
        """The columns that it takes, with their types: time, text, number or flag."""
        return dict(self._predictor.plan.record)

    def predict(self, frame: Any) -> "pd.DataFrame":
        """Answer the rows of a DataFrame, or of another table that speaks Arrow, by the names of the business.

        The answers are those of the service, with its warnings, in the order of the rows and with their index: `score`,
        of many classes `class` and the probability of each; where the model has a threshold, `decision`; of several
        targets the probability and the decision of each, `probability_churn` and `decision_churn`. Columns that
        the model does not use are left out; one that is not there counts as missing in every row, and is warned of.
        Raises ValueError for columns of another type, and for rows that the service would refuse.
        """
        from service.frames.pyfunc import answer_frame

        answers: pd.DataFrame = answer_frame(self._predictor, self._checked(frame))
        return answers

    def explain(self, frame: Any, *, target: str | None = None) -> "Explanation":
        """Explain the answers to at most 1,000 rows: by how much each feature moves them, as SHAP values.

        They are those of the report: against rows of the development matrix that stand in for what is unknown. Of many
        classes they explain the probability of the likeliest one, of several targets that of `target`, which is then
        needed. Raises what `predict` raises, and StorageError where that matrix was removed.
        """
        self._require(target)
        table = self._checked(frame)
        if not 1 <= len(table) <= MOST_ROWS:
            raise SextantError(f"{len(table):,} rows were given, and from 1 to {MOST_ROWS:,} are explained at once")
        with prepared(self.home):
            from sextant.explaining import explained

            return Explanation(self, *explained(self._predictor, self._record, table, target))

    def report(self) -> Report:
        """Return the report on its evaluation; raise NotFound if it was never evaluated here."""
        with prepared(self.home) as home:
            return report_on(str(self._record["id"]), self.name, home)

    def coordinates(self) -> Coordinates:
        """Return where it came from."""
        return Coordinates(self._record, self.home)

    @cached_property
    def _predictor(self) -> "Predictor":
        from dagster_project.scoring.score import load
        from resources.bentos import BentoError, BentoStore

        with prepared(self.home):
            try:
                return load(BentoStore().bundle(self.use_case, self.version))
            except BentoError as error:
                raise NotFound(str(error)) from None

    def _require(self, target: str | None) -> None:
        """Raise SextantError for a target that the model has not, and for none where it has several."""
        targets = list(self._predictor.plan.task.targets)
        if target is None and targets:
            raise SextantError(
                f"{self.name} answers several targets; name the one to explain: target= one of {targets}"
            )
        if target is not None and target not in targets:
            has = f"those that it answers: {targets}" if targets else "its only one: leave it out"
            raise SextantError(f"{self.name} has no target {target!r} beside {has}")

    def _checked(self, frame: Any) -> "pd.DataFrame":
        """Return a DataFrame; warn of columns that it lacks."""
        from service.frames.columns import match

        table = _as_frame(frame, list(self._predictor.plan.record))
        if absent := match(list(table.columns), self._predictor.plan).absent:
            warnings.warn(f"without {', '.join(absent)}, which count as missing in every row", stacklevel=3)
        return table

    @property
    def _lines(self) -> dict[str, object]:
        made = str(self._record["made_at"])[:19].replace("T", " ")
        return {"version": self.version, "coordinates": self._record["id"], "made at": f"{made} UTC"}

    def __repr__(self) -> str:
        """Return it as text."""
        return text_card(f"model of {self.use_case}", self._lines, f"in {self.home}")

    def _repr_html_(self) -> str:
        return card(f"model of {self.use_case}", self._lines, f"in {self.home}")

    def _repr_markdown_(self) -> str:
        return markdown_card(f"model of {self.use_case}", self._lines, f"in {self.home}")


class Explanation:
    """SHAP values of rows: `base` plus the `values` of a row is its answer; `features` are what the values are of."""

    def __init__(
        self, model: Model, values: "pd.DataFrame", features: "pd.DataFrame", base: "np.ndarray", answers: "np.ndarray"
    ) -> None:
        self.model, self.values, self.features, self.base, self.answers = model, values, features, base, answers

    def __repr__(self) -> str:
        """Return the features that move the answers most, as text."""
        sizes = self.values.abs().mean().sort_values(ascending=False).head(SHOWN_FEATURES)
        lines = {str(name): f"{size:.4g}" for name, size in sizes.items()}
        return text_card(f"{len(self.values)} answers of {self.model.name}, mean absolute SHAP value", lines)

    def _repr_html_(self) -> str:
        from ml.base.text import shortened

        parts = []
        for place in range(min(len(self.values), SHOWN_ROWS)):
            row = self.values.iloc[place]
            names = row.abs().sort_values(ascending=False, kind="stable").index[:SHOWN_FEATURES]
            shown = [
                (str(name), shortened(str(self.features.iloc[place][name]), SHOWN_TEXT), float(row[name]))
                for name in names
            ]
            most = max((abs(size) for *_, size in shown), default=0.0)
            heading = f"row {self.values.index[place]}: {self.answers[place]:.4g}, from {self.base[place]:.4g}"
            parts.append(f"<div><b>{escape(heading)}</b><table>{bars(shown, most)}</table></div>")
        return sections(parts)

    def _repr_markdown_(self) -> str:
        sizes = self.values.abs().mean().sort_values(ascending=False).head(SHOWN_FEATURES)
        return markdown_card(
            f"{len(self.values)} answers of {self.model.name}, mean absolute SHAP value",
            {str(name): f"{size:.4g}" for name, size in sizes.items()},
        )


def model(name: str) -> Model:
    """Return a registered version: `flight_delays@champion`, which `flight_delays` means too, or `flight_delays:3`.

    Raises NotFound, which says what there is, or what to run.
    """
    if "/" in name:
        use_case = name.partition("/")[0]
        raise NotFound(f"{name!r} is no model: name one as {use_case}@champion or {use_case}:1")
    use_case, mark, which = name.partition("@") if "@" in name else name.partition(":")
    with prepared() as home:
        from resources.tracking.runs import tracking

        wanted = f"{use_case}{mark or '@'}{which or 'champion'}"
        record = record_of(wanted)
        version = which if mark == ":" else tracking().version(use_case, which or "champion")
        return Model(use_case, str(version), record, home)


def _as_frame(rows: Any, names: Sequence[str]) -> "pd.DataFrame":
    """Return rows as a DataFrame: one, a table that speaks Arrow, lists by column, a record or several; of none, names.

    A record holds no lists.
    """
    import pandas as pd

    if isinstance(rows, pd.DataFrame):
        return rows
    if hasattr(rows, "__arrow_c_stream__"):
        import pyarrow as pa

        from sextant.results import as_frame

        return as_frame(pa.table(rows))
    if isinstance(rows, Mapping):
        by_column = rows and all(pd.api.types.is_list_like(values) for values in rows.values())
        return pd.DataFrame(dict(rows) if by_column else [dict(rows)])
    if isinstance(rows, Sequence) and all(isinstance(row, Mapping) for row in rows):
        return pd.DataFrame([dict(row) for row in rows], columns=None if rows else list(names))
    raise TypeError(f"{type(rows).__name__} was given; give a DataFrame, a table that speaks Arrow, or records")
