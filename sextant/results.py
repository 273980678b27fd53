"""Results: stored values, and the coordinates that say where they came from."""

from collections.abc import Collection
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sextant.errors import NotFound
from sextant.places import prepared
from sextant.show import card, markdown_card, text_card

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


class Coordinates:
    """The coordinates of a result: data, code, config, environment, run and seed, under one id."""

    def __init__(self, record: dict[str, Any], home: Path) -> None:
        self.record, self.home = record, home

    @property
    def id(self) -> str:
        """The id of all of them."""
        return str(self.record["id"])

    @property
    def asset(self) -> str:
        """The asset that they are those of."""
        return str(self.record["run"]["asset"])

    @property
    def _lines(self) -> dict[str, object]:
        record = self.record
        code, environment = record["code"], record["environment"]
        data = ", ".join(f"{name} {loaded['hash'][:12]}" for name, loaded in record["data"].items())
        return {
            "asset": self.asset,
            "made at": f"{record['made_at'][:19].replace('T', ' ')} UTC",
            "data": data or "its source",
            "code": f"source {code['source'][:12]}, commit {str(code['commit'])[:12]}"
            + (" (dirty)" if code["dirty"] else ""),
            "config": record["config"]["hash"][:12],
            "environment": f"{environment['id']}: Python {environment['python']}, {environment['processor']}",
            "run": f"Dagster {record['run']['dagster']}, MLflow {record['run']['mlflow']}",
            "seed": record["seed"],
        }

    def __repr__(self) -> str:
        """Return them as text."""
        return text_card(f"coordinates {self.id}", self._lines, f"in {self.home}")

    def _repr_html_(self) -> str:
        return card(f"coordinates {self.id}", self._lines, f"in {self.home}")

    def _repr_markdown_(self) -> str:
        return markdown_card(f"coordinates {self.id}", self._lines, f"in {self.home}")


def coordinates(thing: str | PathLike[str]) -> Coordinates:
    """Return where a thing came from: all that `sextant locate` takes, so an asset, a model, an id, a file.

    Raises NotFound, which says what there is, or what to run.
    """
    with prepared() as home:
        return Coordinates(record_of(thing), home)


def load(thing: str | PathLike[str], *, columns: Collection[str] | None = None) -> Any:
    """Return the latest value of an asset, such as `flight_delays/features/development`, or that of an older id.

    Tables are DataFrames, of which `columns` are read where they are named; in those of sources whole numbers and
    booleans with gaps are of pandas' nullable types, so that no digit is lost. Raises NotFound, which says what there
    is, or what to run; StorageError for a file that is damaged or was removed.
    """
    if isinstance(columns, str):
        raise TypeError(f"columns are a list of names, and {columns!r} was given")
    with prepared():
        from resources.storage import Stored, storage

        value = storage().load(Stored(**record_of(thing)["result"]), columns)
        return _frame(thing, value, columns)


def _frame(thing: str | PathLike[str], value: Any, columns: Collection[str] | None) -> Any:
    """Return a value, a table as a DataFrame. Raises NotFound for columns that it lacks."""
    import pandas as pd
    import pyarrow as pa

    frame = as_frame(value) if isinstance(value, pa.Table) else value
    if columns is not None:
        if not isinstance(frame, pd.DataFrame):
            raise NotFound(f"{thing} is no table, and has no columns; leave them out")
        if missing := [name for name in columns if name not in frame]:
            raise NotFound(f"{thing} has no columns {missing}; those of load({thing!r}) are all that there are")
        return frame[list(columns)]
    return frame


def as_frame(table: "pa.Table") -> "pd.DataFrame":
    """Return a table as a DataFrame, whole numbers and booleans with gaps in pandas' nullable types."""
    import pandas as pd
    import pyarrow as pa

    nullable = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}
    columns: dict[str, Any] = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        gaps = column.null_count > 0 and column.type in nullable
        columns[name] = column.to_pandas(types_mapper=nullable.get) if gaps else column.to_pandas()
    return pd.DataFrame(columns)


def record_of(thing: str | PathLike[str]) -> dict[str, Any]:
    """Return the record of a thing; raise NotFound, which says what there is, or what to run."""
    thing = fspath(thing)
    from dagster_project.results.locate import NotFoundError, locate
    from resources.ledger import Ledger
    from resources.tracking.runs import tracking

    ledger = Ledger()
    try:
        return locate(thing, tracking(), ledger)
    except NotFoundError as error:
        from sextant.missing import reason

        raise NotFound(reason(thing, ledger) or str(error)) from None
