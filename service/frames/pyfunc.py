"""MLflow's `python_function`: a registered version that answers a DataFrame of business columns as the service does.

MLflow imports this module by its name, from the `code` folder that lies in the version beside the model, or from the
installed wheel: where both are there and this package is imported already, that one is used.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from service.frames.answers import answer_table
from service.plan.document import BundleError
from service.predict.predictor import Predictor, load_predictor

if TYPE_CHECKING:
    import pandas as pd

BUNDLE = "bundle.zip"  # all else that the version's Bento has; `resources.tracking.pyfunc` packs it
MODEL = "model.onnx"


class ServedModel:
    """A registered version, loaded; MLflow calls `predict`."""

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Answer a DataFrame of business columns, in any order; the answers have its index."""
        return answer_frame(self.predictor, model_input)


def answer_frame(predictor: Predictor, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the answers to the rows of a DataFrame, in their order and with its index.

    Raises ColumnsError where its columns are not those of a record, and RowsError for rows that cannot be answered.
    """
    answers: pd.DataFrame = answer_table(predictor, table_of(frame)).to_pandas()
    answers["warnings"] = [list(warnings) for warnings in answers["warnings"]]
    return answers.set_axis(frame.index)


def table_of(frame: pd.DataFrame) -> Any:
    """Return a DataFrame as an Arrow table, without its index. Raises ColumnsError for a column of several types."""
    import pyarrow as pa

    from service.frames.columns import ColumnsError

    arrays, problems = [], []
    for position, name in enumerate(frame.columns):
        try:
            arrays.append(pa.array(frame.iloc[:, position], from_pandas=True))
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
            problems.append(f"the column {name!r} cannot be read: {str(error).splitlines()[0]}")
    if problems:
        raise ColumnsError("; ".join(problems))
    if not arrays:
        return pa.table({"": pa.nulls(len(frame))}).select([])
    return pa.table([_whole(array) for array in arrays], list(map(str, frame.columns)))


def _whole(array: Any) -> Any:
    """Return an array in one piece."""
    return array.combine_chunks() if hasattr(array, "combine_chunks") else array


def _load_pyfunc(path: str) -> ServedModel:
    """Load the version whose files lie in a folder; raise BundleError where it cannot answer as its Bento does."""
    folder = Path(path)
    if not (folder / BUNDLE).is_file():
        raise BundleError(
            "this version",
            [f"{BUNDLE} is not there: its Bento, which that is a part of, was not made yet. Materialize `bento`"],
        )
    with TemporaryDirectory(prefix="sextant-") as scratch:  # all of it is in memory once it is loaded
        with zipfile.ZipFile(folder / BUNDLE) as packed:
            packed.extractall(scratch)
        (Path(scratch) / MODEL).symlink_to(folder.resolve() / MODEL)
        predictor = load_predictor(Path(scratch))
    difference, allowed = predictor.difference(), predictor.golden.tolerance
    if not difference <= allowed:
        raise BundleError(MODEL, [f"a golden score differs by {difference:.3g}; at most {allowed:.3g} is allowed"])
    return ServedModel(predictor)
