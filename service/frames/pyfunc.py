"""MLflow's `python_function`: a registered version that answers a DataFrame of business columns as the service does.

MLflow imports this module by its name, from the `code` folder that lies in the version beside the model, or from the
installed wheel: where both are there and this package is imported already, that one is used.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from service.frames.answers import answer_table
from service.frames.columns import ColumnsError, match
from service.plan.document import BundleError, Plan
from service.predict.predictor import Predictor, load_predictor

BUNDLE = "bundle.zip"  # all else that the version's Bento has; `resources.tracking.pyfunc` packs it
MODEL = "model.onnx"


class ServedModel:
    """A registered version, loaded; MLflow calls `predict`."""

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> Any:
        """Answer a DataFrame of business columns, in any order; the answers have its index."""
        return answer_frame(self.predictor, model_input)


def answer_frame(predictor: Predictor, frame: Any) -> Any:
    """Return the answers to the rows of a DataFrame, in their order and with its index.

    Raises ColumnsError where its columns are not those of a record, and RowsError for rows that cannot be answered.
    """
    answers = answer_table(predictor, table_of(frame, predictor.plan)).to_pandas()
    answers["warnings"] = answers["warnings"].map(list)
    return answers.set_axis(frame.index)


def table_of(frame: Any, plan: Plan) -> Any:
    """Return the columns of a DataFrame that records have as an Arrow table, without its index.

    Raises ColumnsError where the columns do not match, and for one with values of several types.
    """
    import pyarrow as pa

    names = list(map(str, frame.columns))
    used, problems = dict[str, Any](), list[str]()
    for name in match(names, plan).used:
        try:
            array = pa.array(frame.iloc[:, names.index(name)], from_pandas=True)
            used[name] = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
            problems.append(f"the column {name!r} cannot be read: {str(error).splitlines()[0]}")
    if problems:
        raise ColumnsError("; ".join(problems))
    return pa.table(used) if used else pa.table({"": pa.nulls(len(frame))}).select([])


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
