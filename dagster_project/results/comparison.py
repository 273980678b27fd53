"""The comparison of two results, apart from what names the runs that made them."""

import io
import json
import pickle
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
from pydantic import BaseModel

from ml.provenance.stamp import KEY

TOLERANCE = 1e-9
# What names the run, the registry's count or the champion of that day, and not the result: the columns that batch
# predictions have beside their scores, and fields of this project's own models.
COLUMNS_OF_THE_RUN = {"coordinates", "model_coordinates", "model_version", "scored_at"}
FIELDS_OF_THE_RUN = {
    *("coordinates", "model_version", "model_hash", "tag", "version"),
    *("champion_version", "champion_hash", "same_answers", "champion_metrics", "comparison", "incomparable"),
    *("champion_intervals", "champion_calibration", "seen_by_champion"),
    "serving",
}
WITHIN: dict[str, Any] = {"slices": {"__all__": {"against_champion"}}}  # such fields of the parts of a model
WITHIN |= {"targets": {"__all__": dict(WITHIN)}}  # the records of several targets are parts of that of all

# Parts of an evaluation that the last digit of one score can change: which rows are wrong, in which bin one lies.
ON_SINGLE_ROWS = {
    *("reference", "decisions", "calibration", "coverage", "slices", "searched_slices", "fairness", "importances"),
    "most_wrong",
}


@dataclass(frozen=True)
class Verdict:
    """The outcome of a comparison, with a detail for people."""

    word: Literal["identical", "equal", "different"]
    detail: str = ""


def compare_results(first: Any, second: Any, tolerance: float = TOLERANCE, rows: pd.DataFrame | None = None) -> Verdict:
    """Compare two results: `identical` to the bit, `equal` within `tolerance` (absolute), or else `different`.

    What names the run that made a result is left out on both sides. Models whose bytes differ are `equal` if no score
    of `rows`, a feature matrix, differs by more than `tolerance`; without `rows` they are `different`.
    """
    if type(first) is not type(second):
        return Verdict("different", f"{type(first).__name__} and {type(second).__name__}")
    if isinstance(first, pd.DataFrame | pa.Table):
        return _tables(_frame(first), _frame(second), tolerance)
    if isinstance(first, BaseModel):
        return _models(_plain(first), _plain(second), tolerance)
    content = _model if isinstance(first, bytes) else _pickled
    same = content(first) == content(second)
    if same or rows is None:
        return Verdict("identical") if same else Verdict("different", "their bytes differ")
    gap = float(np.abs(_scores(first, rows) - _scores(second, rows)).max())
    detail = f"scores of {len(rows)} rows within {gap:.2g}, allowed: {tolerance:g}"
    return Verdict("equal" if gap <= tolerance else "different", detail)


def _scores(model: Any, rows: pd.DataFrame) -> np.ndarray:
    """Return the scores [n_rows] of a feature matrix by an exported or a tuned model."""
    from ml.exported.onnx import described, predict, session
    from ml.tasks.encoding import Encoder

    if isinstance(model, bytes):
        return predict(session(model), Encoder.from_dict(json.loads(described(model)["sextant.encoder"])), rows)
    scores: np.ndarray = model.model.predict(model.encoder.encode(rows))
    return scores


def _frame(table: pd.DataFrame | pa.Table) -> pd.DataFrame:
    frame: pd.DataFrame = table.to_pandas() if isinstance(table, pa.Table) else table
    predictions = set(frame.columns) >= COLUMNS_OF_THE_RUN  # in any other table a column of such a name is data
    return frame.drop(columns=list(COLUMNS_OF_THE_RUN)) if predictions else frame


def _tables(first: pd.DataFrame, second: pd.DataFrame, tolerance: float) -> Verdict:
    if list(first.columns) != list(second.columns) or len(first) != len(second):
        shapes = [f"{len(table)} rows of {table.shape[1]} columns" for table in (first, second)]
        return Verdict("different", " and ".join(shapes))
    changed = [name for name in first.columns if not first[name].equals(second[name])]
    if not changed:
        return Verdict("identical")
    one, other = first[changed], second[changed]
    missing = one.isna() & other.isna()
    if all(pd.api.types.is_numeric_dtype(kind) for kind in [*one.dtypes, *other.dtypes]):
        gaps = np.abs(one.to_numpy("float64", na_value=np.nan) - other.to_numpy("float64", na_value=np.nan))
        worst = np.where(missing, 0.0, gaps).max()  # missing on one side alone stays NaN
        if worst <= tolerance:
            return Verdict("equal", f"within {worst:.2g}")
    rows = int((one.ne(other) & ~missing).any(axis=1).sum())
    return Verdict("different", f"{rows} of {len(first)} rows, in {', '.join(map(str, changed[:5]))}")


def _unnamed(model: Any) -> Any:
    of_targets = tuple(map(_unnamed, getattr(model, "of_targets", ())))
    return replace(model, study="", **({"of_targets": of_targets} if of_targets else {}))


def _pickled(value: Any) -> bytes:
    """Return a value as bytes; of a tuned model without the name of its study, which tells the environment.

    Which equal texts in it are one object is up to the process that stored it, so each is written out.
    """
    unnamed = _unnamed(value) if hasattr(value, "study") else value
    content = io.BytesIO()
    pickler = pickle.Pickler(content, protocol=5)
    pickler.fast = True
    pickler.dump(unnamed)
    return content.getvalue()


def _plain(value: BaseModel) -> dict[str, Any]:
    return _without(value.model_dump(mode="json", exclude=WITHIN), FIELDS_OF_THE_RUN)


def _without(record: dict[str, Any], names: set[str]) -> dict[str, Any]:
    """Return a record without some fields, and without them in those of several targets."""
    fields = {name: content for name, content in record.items() if name not in names}
    if of_targets := fields.get("targets"):
        fields["targets"] = {name: _without(part, names) for name, part in of_targets.items()}
    return fields


def _models(first: dict[str, Any], second: dict[str, Any], tolerance: float) -> Verdict:
    """Compare two records; what hangs on single rows need not agree where a training that is not exact is allowed."""
    verdict = _values(first, second, tolerance)
    if verdict.word != "different" or tolerance <= TOLERANCE:
        return verdict
    return _values(_without(first, ON_SINGLE_ROWS), _without(second, ON_SINGLE_ROWS), tolerance)


def _same(first: Any, second: Any) -> bool:
    """Check that two leaves are equal, or both NaN."""
    return bool(first == second or (first != first and second != second))


def _values(first: dict[str, Any], second: dict[str, Any], tolerance: float) -> Verdict:
    """Compare the leaves of two JSON values."""
    one, other = dict(leaves(first)), dict(leaves(second))
    changed = sorted(path for path in one.keys() | other.keys() if not _same(one.get(path), other.get(path)))
    if not changed:
        return Verdict("identical")
    pairs = [(one.get(path), other.get(path)) for path in changed]
    if all(isinstance(value, int | float) for pair in pairs for value in pair):
        gap = max(abs(float(a) - float(b)) for a, b in pairs)  # type: ignore[arg-type]
        if gap <= tolerance:
            return Verdict("equal", f"within {gap:.2g}")
    shown = [f"{path} {json.dumps(one.get(path))} and {json.dumps(other.get(path))}" for path in changed[:3]]
    return Verdict("different", "; ".join(shown))


def leaves(value: Any, path: str = "") -> list[tuple[str, Any]]:
    """Return the leaves of a JSON value, which are neither objects nor arrays, with their paths."""
    if isinstance(value, dict):
        return [leaf for name, part in value.items() for leaf in leaves(part, f"{path}.{name}".lstrip("."))]
    if isinstance(value, list):
        return [leaf for number, part in enumerate(value) for leaf in leaves(part, f"{path}[{number}]")]
    return [(path, value)]


def _model(content: bytes) -> bytes:
    """Return an ONNX model without its coordinates and what was measured of it, and other bytes as they are."""
    import onnx
    from google.protobuf.message import DecodeError

    from ml.exported.onnx import PARITY

    try:
        model = onnx.load_from_string(content)
    except DecodeError:
        return content
    own_metadata = [(entry.key, entry.value) for entry in model.metadata_props if entry.key not in (KEY, PARITY)]
    del model.metadata_props[:]
    for name, value in own_metadata:
        model.metadata_props.add(key=name, value=value)
    whole: bytes = model.SerializeToString(deterministic=True)
    return whole
