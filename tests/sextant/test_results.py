"""`sextant.load` and `sextant.coordinates`, and what they say where there is nothing."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pandas as pd
import pyarrow as pa
import pytest
from click.testing import CliRunner

import sextant
from dagster_project.commands.main import main
from dagster_project.definitions import resources
from resources.home import QUIET
from resources.storage import Storage
from sextant.places import prepared
from sextant.results import as_frame
from tests.support.dated import frame
from tests.support.small import Small


def test_an_asset_is_its_latest_value(packaged: Small) -> None:
    rows = sextant.load("small/raw/rows")
    matrix = sextant.load("small/features/development", columns=["x_b", "x_a"])
    board = sextant.load("small/leaderboard")

    pd.testing.assert_frame_equal(rows, frame(), check_dtype=False)
    assert list(matrix.columns) == ["x_b", "x_a"]
    assert len(matrix) == 300
    assert board.candidate == "logistic"
    assert "storage" in resources()


def test_an_older_value_is_had_by_its_coordinates(packaged: Small) -> None:
    first = sextant.coordinates("small@champion")

    older = sextant.load(first.id)

    assert isinstance(older, bytes)
    assert older != sextant.load("small/onnx_model")
    assert first.asset == "small/onnx_model"


def test_whole_numbers_with_gaps_keep_every_digit() -> None:
    table = pa.table({"a": pa.array([2**60 + 1, None]), "b": pa.array([True, None]), "c": [1, 2], "d": [1.5, None]})

    values = as_frame(table)

    assert values["a"].tolist()[0] == 2**60 + 1
    assert [str(kind) for kind in values.dtypes] == ["Int64", "boolean", "int64", "float64"]


def test_what_is_not_there_is_said_with_what_may_be_meant(packaged: Small) -> None:
    for thing, words in {
        "smal/leaderboard": "there is no use case 'smal'",
        "small/leaderbord": "there is no asset 'small/leaderbord'; did you mean 'small/leaderboard'?",
        "breast_cancr": "there is no use case",
        "breast_cancer/leaderboard": "sextant demo breast_cancer",
        "breast_cancer/leaderbord": "did you mean 'breast_cancer/leaderboard'?",
        "breast_cancer@champion": "has no model @champion",
        "small:9": "there are small:1, small@champion",
        "small@Champion": "small has no model @Champion",
        "small": "small is a use case: name one of its assets, such as small/evaluation. There are small/bento, ",
        "small/": "small is a use case: name one of its assets",
    }.items():
        with pytest.raises(sextant.NotFound) as error:
            sextant.load(thing)
        assert words in str(error.value), error.value
    with pytest.raises(sextant.NotFound, match=r"has no columns \['z'\]"):
        sextant.load("small/features/development", columns=["z"])
    with pytest.raises(sextant.NotFound, match="breast_cancer, customer_churn"):
        sextant.load("breast_cancr/leaderboard")
    with pytest.raises(sextant.NotFound, match="'small/evaluation' is no model: name one as small@champion or small:1"):
        sextant.model("small/evaluation")
    with pytest.raises(TypeError, match="columns are a list of names, and 'x_a' was given"):
        sextant.load("small/features/development", columns="x_a")
    with pytest.raises(sextant.NotFound, match="small/leaderboard is no table, and has no columns"):
        sextant.load("small/leaderboard", columns=["x_a"])


def test_a_file_may_be_a_path_and_a_report_named_by_its_asset(packaged: Small) -> None:
    file = next((packaged.home / "storage" / "small" / "leaderboard").iterdir())

    assert sextant.coordinates(file).asset == "small/leaderboard"
    assert sextant.report("small/evaluation").file == sextant.report("small").file


def test_a_damaged_file_is_no_result(packaged: Small) -> None:
    for file in (packaged.home / "storage" / "small" / "leaderboard").iterdir():
        file.write_bytes(b"{}")

    with pytest.raises(RuntimeError, match="is damaged"):
        sextant.load("small/leaderboard")


def test_coordinates_show_themselves(packaged: Small) -> None:
    shown = sextant.coordinates("small/evaluation")

    for text in (repr(shown), shown._repr_html_(), shown._repr_markdown_()):
        assert shown.id in text
        assert "small/evaluation" in text
        assert str(packaged.home) in text


def test_the_home_is_that_of_the_command_and_the_environment_stays(
    packaged: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sextant.home() == packaged.home
    monkeypatch.delenv("SEXTANT_HOME")
    monkeypatch.delenv("DAGSTER_HOME")
    monkeypatch.chdir(tmp_path)

    with pytest.raises(sextant.NotFound, match=str(tmp_path / ".sextant")):
        sextant.load("breast_cancer/leaderboard")
    assert sextant.home() == tmp_path / ".sextant"
    monkeypatch.setenv("SEXTANT_HOME", str(packaged.home))
    assert sextant.load("small/leaderboard").candidate == "logistic"
    assert Storage().base() == str(packaged.home / "storage")


def test_threads_share_a_home_and_leave_the_environment_as_it_was(
    packaged: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DAGSTER_HOME")
    before, other = dict(os.environ), tmp_path / "other"
    inside = Barrier(3, timeout=30)

    def ask(place: int) -> list[Path]:
        homes = list[Path]()
        with prepared() as home:
            inside.wait()  # all three are open
            homes.append(home)
        for _ in range(20):
            with prepared(other if place else None) as home:
                assert os.environ["SEXTANT_HOME"] == str(home)
                homes.append(home)
                assert os.environ["DAGSTER_HOME"] == str(home / "dagster")
        return homes

    with ThreadPoolExecutor(3) as threads:
        places = list(threads.map(ask, range(3)))

    assert places == [[packaged.home] * 21, *[[packaged.home, *[other] * 20]] * 2]
    assert dict(os.environ) == before


@pytest.mark.parametrize("place", ["file", "file/in/it", "dangling"])
def test_a_home_that_cannot_be_made_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere" / "at all")
    monkeypatch.setenv("SEXTANT_HOME", str(tmp_path / place))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    before = dict(os.environ)

    with pytest.raises(sextant.SextantError, match=r"cannot be written \(.*name another folder in \$SEXTANT_HOME"):
        sextant.load("small/leaderboard")
    assert {**before, **QUIET} == {**os.environ, **QUIET}
    ended = CliRunner().invoke(main, ["locate", "small/leaderboard"])
    assert "Error: " in ended.output
    assert "cannot be written" in ended.output


def test_to_import_it_takes_no_time() -> None:
    heavy = {"dagster", "duckdb", "mlflow", "numpy", "onnxruntime", "pandas", "pyarrow", "pydantic", "torch"}
    code = f"import sys, sextant; print(sorted({heavy!r} & set(sys.modules)), sextant.__all__)"

    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ended.stdout.startswith("[] ['Coordinates'")
