"""`sextant.model`: the service's answers in a DataFrame, explained."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import sextant
from resources.bentos import BentoStore
from service.predict.predictor import load_predictor
from tests.support.dated import frame
from tests.support.small import Small

NEW = frame().drop(columns="y").sample(20, random_state=1)


def service(rows: pd.DataFrame) -> Any:
    records = rows[["at", "g", "x_a", "x_b"]].to_dict("records")
    return load_predictor(BentoStore().bundle("small")).predict(
        [{**record, "at": record["at"].isoformat()} for record in records]
    )


def test_it_answers_as_the_service_does_with_the_index_of_the_rows(packaged: Small) -> None:
    model = sextant.model("small@champion")

    answers = model.predict(NEW)

    expected = service(NEW)
    assert answers["score"].tolist() == expected.scores
    assert list(answers.columns) == ["score", "decision", "warnings"]
    assert answers.index.equals(NEW.index)
    assert model.name == "small:1"
    assert model.record == {"at": "time", "g": "text", "x_a": "number", "x_b": "number"}


def test_rows_come_as_other_tables_and_records_too(packaged: Small) -> None:
    model, expected = sextant.model("small"), service(NEW).scores
    record = {**NEW.iloc[0].to_dict(), "at": NEW["at"].iloc[0].isoformat()}

    assert model.predict(pa.Table.from_pandas(NEW, preserve_index=False))["score"].tolist() == expected
    assert sextant.model("small:1").predict(record)["score"].tolist() == pytest.approx(expected[:1], abs=1e-6)
    assert model.predict([record] * 2)["score"].tolist() == pytest.approx(expected[:1] * 2, abs=1e-6)
    assert model.predict({name: NEW[name].tolist() for name in NEW})["score"].tolist() == expected
    for nothing in (NEW.head(0), []):
        empty = model.predict(nothing)
        assert (len(empty), [str(kind) for kind in empty.dtypes]) == (0, ["float64", "bool", "object"])
    with pytest.raises(TypeError, match="int was given"):
        model.predict(3)


def test_a_column_that_is_not_there_is_warned_of_and_one_that_is_misspelt_refused(packaged: Small) -> None:
    model = sextant.model("small@champion")

    with pytest.warns(UserWarning, match="without g, which count as missing in every row"):
        model.predict(NEW.drop(columns="g"))
    with pytest.raises(ValueError, match="did you mean it by 'X_a'"):
        model.predict(NEW.rename(columns={"x_a": "X_a"}))
    with pytest.raises(ValueError, match="row 0, column 'at': required, and missing or null"):
        model.predict(NEW.assign(at=pd.NaT))


def test_an_explanation_adds_up_to_the_answer(packaged: Small) -> None:
    model = sextant.model("small@champion")

    explanation = model.explain(NEW)

    answers = model.predict(NEW)["score"]
    assert explanation.values.index.equals(NEW.index)
    assert np.allclose(explanation.base + explanation.values.sum(axis=1), answers, atol=1e-5)
    assert explanation.features["x_a"].tolist() == NEW["x_a"].astype("float32").tolist()
    assert "x_a" in repr(explanation)
    assert f"row {NEW.index[0]}: {answers.iloc[0]:.4g}" in explanation._repr_html_()
    assert "x_a" in explanation._repr_markdown_()
    with pytest.raises(sextant.SextantError, match="1,020 rows were given, and from 1 to 1,000 are explained"):
        model.explain(pd.concat([NEW] * 51))
    with pytest.raises(sextant.SextantError, match="0 rows were given"):
        model.explain(NEW.head(0))
    odd = NEW.head(1).assign(g="<script>" + "long " * 1000).set_axis(["<b>|*"])
    assert "<b>|" not in model.explain(odd)._repr_html_()
    assert "<script>" not in model.explain(odd)._repr_html_()
    assert len(model.explain(odd)._repr_html_()) < 5000


def test_it_says_where_it_came_from_and_how_good_it_is(packaged: Small) -> None:
    model = sextant.model("small@champion")

    report = model.report()

    assert model.coordinates().asset == "small/onnx_model"
    assert report.html.startswith("<!doctype html>")
    assert report.metrics["roc_auc"] > 0.6
    assert report.file.startswith(str(packaged.home))
    for text in (repr(report), report._repr_html_(), report._repr_markdown_()):
        assert "roc_auc" in text
        assert report.file in text
    for text in (repr(model), model._repr_html_(), model._repr_markdown_()):
        assert str(packaged.home) in text
    assert sextant.report("small").evaluation.model_hash != report.evaluation.model_hash  # a later candidate's
    assert sextant.report("small:1").file == report.file


def test_objects_stay_with_their_home_when_another_is_chosen(
    packaged: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, report, expected = sextant.model("small"), sextant.report("small"), service(NEW).scores

    for name, folder in {"SEXTANT_HOME": tmp_path / "other", "DAGSTER_HOME": tmp_path / "other" / "dagster"}.items():
        monkeypatch.setenv(name, str(folder))

    assert model.predict(NEW)["score"].tolist() == expected
    assert len(model.explain(NEW.head(2)).values) == 2
    assert model.report().file.startswith(str(packaged.home))
    assert report.html.startswith("<!doctype html>")
    assert sextant.home() == tmp_path / "other"


def test_a_version_without_a_bento_says_what_to_run(packaged: Small) -> None:
    (packaged.home / "bentoml").rename(packaged.home / "elsewhere")

    with pytest.raises(sextant.NotFound, match="no Bento yet: materialize small/bento first"):
        sextant.model("small@champion").predict(NEW)
