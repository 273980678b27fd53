"""The registered model as MLflow loads it: business columns in, the service's answers out."""

import json
import logging
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from resources.bentos import BentoStore
from resources.tracking import pyfunc as saved
from resources.tracking.runs import tracking
from service.frames import pyfunc
from service.predict.predictor import load_predictor
from tests.support.dated import frame
from tests.support.packaged import pyfunc as loaded_from
from tests.support.small import Small

RECORD = ["at", "g", "x_a", "x_b"]


def loaded(uri: str = "models:/small@champion") -> Any:
    return loaded_from(tracking(), uri)


def test_the_champion_answers_business_columns_as_the_service_does_to_the_bit_and_warns_of_nothing(
    packaged: Small, caplog: pytest.LogCaptureFixture
) -> None:
    rows = frame()

    with warnings.catch_warnings(), caplog.at_level(logging.WARNING):
        warnings.simplefilter("error")
        model = loaded()
        answers = model.predict(rows.sample(frac=1, random_state=0)[list(reversed(RECORD))])

    assert [record.getMessage() for record in caplog.records] == []
    predictor = load_predictor(BentoStore().bundle("small"))
    records = json.loads(rows[RECORD].to_json(orient="records", date_format="iso", date_unit="us"))
    service = predictor.predict([{**record, "at": record["at"][:26].rstrip("Z")} for record in records])
    assert answers["score"].sort_index().tolist() == service.scores
    assert answers["decision"].sort_index().tolist() == [score >= predictor.thresholds[0] for score in service.scores]
    assert list(answers["warnings"]) == [[]] * 600
    far = model.predict(rows.head(1).assign(x_a=1e6))["warnings"].item()
    assert len(far) == 1
    assert far[0].startswith("x_a 1000000.0 is far from training, where it was from -")


def test_its_signature_has_the_names_of_the_business(packaged: Small) -> None:
    signature = loaded().metadata.signature

    inputs = {column.name: (column.type, column.required) for column in signature.inputs}
    assert list(inputs) == RECORD
    assert [name for name, (_, required) in inputs.items() if required] == ["at"]
    assert [str(inputs[name][0]) for name in RECORD] == ["DataType.datetime", "DataType.string", "Any", "Any"]
    assert signature.outputs.input_names() == ["score", "decision", "warnings"]
    assert loaded().metadata.metadata["sextant.record"]["x_a"] == "number"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"x_a": "many"}, "'x_a' holds string, and the model takes numbers"),
        ({"x_a": float("inf")}, "row 0, column 'x_a': not a finite number"),
        ({"at": None}, "row 0, column 'at': required, and missing or null"),
    ],
)
def test_what_the_service_refuses_is_refused_by_name(packaged: Small, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        loaded().predict(frame().head(3).assign(**changed).astype({"at": "datetime64[ns]"}))


def test_whole_missing_and_nullable_numbers_are_taken(packaged: Small) -> None:
    rows = frame().head(2)[["at", "g"]]
    numbers: list[Any] = [[1, 2], [1.0, None], pd.array([1, None], "Int64"), pd.array([1.0, None], "Float64")]

    answers = [loaded().predict(rows.assign(x_a=column, x_b=0))["score"].tolist() for column in numbers]

    assert len({scores[0] for scores in answers}) == 1
    assert len({scores[1] for scores in answers[1:]}) == 1
    assert loaded().predict(rows.head(0)).empty


def test_without_its_bento_a_version_says_what_to_materialize(packaged: Small) -> None:
    (folder,) = packaged.home.rglob("bundle.zip")
    folder.unlink()

    with pytest.raises(ValueError, match=r"bundle\.zip is not there(.|\n)*Materialize `bento`"):
        loaded()


def test_the_version_alone_answers_where_this_project_is_not_installed(packaged: Small, tmp_path: Path) -> None:
    (bundle,) = packaged.home.rglob("bundle.zip")
    shutil.copytree(bundle.parent, tmp_path / "model")
    code = f"""
import sys
sys.path = [place for place in sys.path if place not in ("", {str(Path.cwd())!r})]
sys.meta_path = [finder for finder in sys.meta_path if "editable" not in str(finder)]
import mlflow, pandas as pd
model = mlflow.pyfunc.load_model({str(tmp_path / "model")!r})
import service
print(service.__file__)
print(model.predict(pd.read_csv({str(packaged.rows)!r}, parse_dates=["at"]))["score"].sum())
print(sorted({{name.partition(".")[0] for name in sys.modules}} & {{"ml", "resources", "dagster", "bentoml"}}))
"""

    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"]},
    )

    assert done.returncode == 0, done.stderr
    place, total, ours = done.stdout.splitlines()[-3:]
    assert place.startswith(str(tmp_path / "model" / "code"))
    assert float(total) == loaded().predict(frame())["score"].sum()
    assert ours == "[]"


def test_who_packs_and_who_unpacks_name_the_same_file() -> None:
    assert (pyfunc.BUNDLE, pyfunc.__name__) == (saved.BUNDLE, saved.LOADER)
    assert saved.pack({"b": b"2", "a": b"1", "model.onnx": b"3"}) == saved.pack({"a": b"1", "b": b"2"})
