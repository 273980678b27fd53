"""`sextant score`: files in, the service's answers out, whole or not at all."""

import datetime as dt
import gzip
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from dagster_project.commands.main import main
from dagster_project.results.locate import locate
from dagster_project.scoring import score as scoring
from dagster_project.scoring.inputs import Part
from ml.base.processes import Process
from ml.declaration.sources.file import FileSource
from resources.bentos import BentoStore
from resources.tracking.runs import tracking
from service.frames import answers
from service.predict.predictor import load_predictor
from tests.service.conftest import RECORD, write_bundle  # noqa: F401
from tests.support.packaged import put_bundle
from tests.support.small import Small

NAME = "flight_delays"
ROWS = [
    {"flight_id": 7, **RECORD},
    {"flight_id": 8, **RECORD, "carrier": "ZZ", "origin": "XXX", "distance": None, "charter": True},
    {"flight_id": None, **RECORD, "scheduled_departure": "2014-01-03T00:00:00.000001", "tailnum": None},
    {"flight_id": 7, **RECORD, "distance": 2.5, "charter": None},
]


@pytest.fixture
def folder(home: Path, tmp_path: Path, write_bundle: Callable[..., Path]) -> Path:  # noqa: F811
    """A folder for files, beside a home with the Bento of the tests of the service, whose rows have a key."""
    import onnx

    bundle = write_bundle()
    model = onnx.load(bundle / "model.onnx")
    about = {"sextant.inputs": model.metadata_props[0].value}
    about["sextant.spec"] = json.dumps({"examples": {"table": "flights"}, "tables": {"flights": {"key": "flight_id"}}})
    about["sextant.reference"] = json.dumps({"threshold": {"value": 0.999}})
    onnx.helper.set_model_props(model, about)
    onnx.save(model, bundle / "model.onnx")
    put_bundle(home / "bentoml", NAME, "3-aa", {file.name: file.read_bytes() for file in bundle.iterdir()})
    return tmp_path


def score(*arguments: str | Path, stdin: str | bytes | None = None) -> Result:
    return CliRunner().invoke(main, ["score", NAME, *map(str, arguments)], input=stdin)


def service(rows: list[dict[str, Any]]) -> Any:
    """The service's prediction for records, as a request would have them."""
    records = [{name: value for name, value in row.items() if name != "flight_id"} for row in rows]
    return load_predictor(BentoStore().bundle(NAME)).predict(records)


def csv(rows: list[dict[str, Any]], **changes: Any) -> str:
    """Rows as CSV; true and false as most programs write them."""
    table = pd.DataFrame(rows).assign(**changes).astype({"flight_id": "Int64"})
    return str(table.to_csv(index=False))


def parquet(rows: list[dict[str, Any]], file: Path) -> None:
    """Rows with times, dictionaries and narrow numbers, as a database would give them."""
    table = pa.Table.from_pylist(rows)
    times = [dt.datetime.fromisoformat(row["scheduled_departure"]) for row in rows]
    columns = {
        "scheduled_departure": pa.array(times, pa.timestamp("us")),
        "carrier": table["carrier"].combine_chunks().dictionary_encode(),
        "distance": pa.array([row["distance"] for row in rows], pa.float32()),
    }
    for name, values in columns.items():
        table = table.set_column(table.schema.get_field_index(name), name, values)
    pq.write_table(table, file)


def written(file: Path) -> dict[str, list[Any]]:
    table = pq.read_table(file) if file.suffix == ".parquet" else pa.csv.read_csv(file)
    return dict(table.to_pydict())


@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl", "json"])
def test_any_kind_of_file_is_answered_as_the_service_answers_to_the_bit(folder: Path, ending: str) -> None:
    file, out = folder / f"new.{ending}", folder / "out.parquet"
    lines = [json.dumps(row) for row in ROWS]
    texts = {"csv": csv(ROWS), "jsonl": "\n".join(lines), "json": json.dumps(ROWS, indent=1), "parquet": ""}
    file.write_text(texts[ending])
    if ending == "parquet":
        parquet(ROWS, file)

    result = score(file, "--out", out)

    assert result.exit_code == 0, result.output
    expected, answered = service(ROWS), written(out)
    assert list(answered) == ["flight_id", "score", "decision", "warnings", "model", "coordinates"]
    assert answered["score"] == expected.scores
    assert answered["decision"] == [score >= 0.999 for score in expected.scores]
    assert answered["warnings"] == expected.warnings
    assert [str(key) for key in answered["flight_id"]] == ["7", "8", "None", "7"]
    assert answered["coordinates"] == ["c0ffee"] * 4
    assert pq.read_schema(out).metadata[b"sextant.coordinates"] == b"c0ffee"
    assert "model flight_delays:3, coordinates c0ffee" in result.output
    warned = sum(map(bool, expected.warnings))
    assert f", {warned} with warnings, 1 without a key" in result.output


def test_a_csv_output_has_the_same_answers_and_goes_to_the_standard_output_by_default(folder: Path) -> None:
    (folder / "new.csv").write_text(csv(ROWS))

    assert score(folder / "new.csv", "--out", folder / "out.csv").exit_code == 0
    result = score("-", stdin=csv(ROWS))

    file = pd.read_csv(folder / "out.csv", float_precision="round_trip")
    assert file["score"].tolist() == service(ROWS).scores
    assert file["warnings"].fillna("").tolist() == ["; ".join(texts) for texts in service(ROWS).warnings]
    assert result.stdout == (folder / "out.csv").read_text()


def test_json_on_the_standard_input_is_known_by_its_first_byte(folder: Path) -> None:
    result = score("-", stdin="\n".join(map(json.dumps, ROWS)))

    answered = pd.read_csv(io.StringIO(result.stdout), float_precision="round_trip")
    assert answered["score"].tolist() == service(ROWS).scores


def test_files_are_answered_one_after_the_other_and_in_parts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dagster_project.scoring.score.ROWS", 3)
    (folder / "a.csv").write_text(csv(ROWS))
    (folder / "b.csv").write_text(csv(ROWS[:1] * 5))

    assert score(folder / "a.csv", folder / "b.csv", "--out", folder / "out.parquet").exit_code == 0

    assert written(folder / "out.parquet")["score"] == service([*ROWS, *ROWS[:1] * 5]).scores


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_a_pattern_is_all_files_that_it_matches_and_their_folders_tell_columns(folder: Path, ending: str) -> None:
    for place, carrier in enumerate(["UA", "DL"]):
        (folder / "all" / f"carrier={carrier}").mkdir(parents=True)
        file = folder / "all" / f"carrier={carrier}" / f"new {place}.{ending}"
        rows = [{name: value for name, value in row.items() if name != "carrier"} for row in ROWS[:2]]
        file.write_text(csv(rows) if ending == "csv" else "\n".join(map(json.dumps, rows)))
        if ending == "parquet":
            pq.write_table(pa.Table.from_pylist(rows), file)

    result = score(folder / "all" / "*" / f"new *.{ending}", "--out", folder / "out.parquet")

    assert result.exit_code == 0, result.output
    expected = [{**row, "carrier": carrier} for carrier in ("DL", "UA") for row in ROWS[:2]]
    assert written(folder / "out.parquet")["score"] == service(expected).scores
    assert "without" not in result.output
    nothing = score(folder / "none*.csv", "--out", folder / "out.csv")
    assert (nothing.exit_code, f"no file matches {folder}/none*.csv" in nothing.output) == (2, True)


@pytest.mark.parametrize(
    "content",
    [
        "\ufeff" + "\n".join(map(json.dumps, ROWS)),
        "\n\n" + json.dumps(ROWS),
        "\ufeff" + json.dumps(ROWS, indent=1),
        "\n".join(map(json.dumps, ROWS)) + "\n\n",
    ],
)
def test_json_is_read_as_other_programs_write_it(folder: Path, content: str) -> None:
    (folder / "new.json").write_text(content)
    (folder / "new.json.gz").write_bytes(gzip.compress(content.encode()))
    (folder / "one.json").write_text(json.dumps(ROWS[0], indent=2))

    for out, result in {
        "a": score(folder / "new.json", "--out", folder / "a.parquet"),
        "b": score(folder / "new.json.gz", "--out", folder / "b.parquet"),
        "c": score("-", "--out", folder / "c.parquet", stdin=content),
    }.items():
        assert result.exit_code == 0, result.output
        assert written(folder / f"{out}.parquet")["score"] == service(ROWS).scores
    assert score(folder / "one.json", "--out", folder / "d.parquet").exit_code == 0
    assert written(folder / "d.parquet")["score"] == service(ROWS[:1]).scores


def test_the_standard_input_may_be_packed_or_parquet_and_is_read_once(folder: Path) -> None:
    parquet(ROWS, folder / "new.parquet")

    for content in (gzip.compress(csv(ROWS).encode()), (folder / "new.parquet").read_bytes()):
        assert score("-", "--out", folder / "out.parquet", "--replace", stdin=content).exit_code == 0
        assert written(folder / "out.parquet")["score"] == service(ROWS).scores
    twice = score("-", "-", stdin=csv(ROWS))
    assert (twice.exit_code, "the standard input can be read once" in twice.output) == (2, True)
    empty = score("-", stdin="")
    assert "Error: the standard input: it cannot be read: Empty CSV file" in empty.output


def test_keys_of_json_may_be_missing_at_first_or_later(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dagster_project.scoring.score.ROWS", 1)
    keys = [{"flight_id": None}, {"flight_id": 7}, {}, {"flight_id": 9}]
    lines = [json.dumps({**RECORD, **key}) for key in keys]
    (folder / "new.jsonl").write_text("\n".join(lines))

    assert score(folder / "new.jsonl", "--out", folder / "out.parquet").exit_code == 0

    assert written(folder / "out.parquet")["flight_id"] == [None, "7", None, "9"]


def test_what_a_killed_scoring_has_left_beside_is_removed_by_the_next_one(folder: Path) -> None:
    ended = subprocess.Popen(["sleep", "60"])
    left = folder / f"out.csv.{Process.of(ended.pid)}~0123abcd.part"
    ended.kill()
    ended.wait()
    left.write_text("half")
    (folder / "new.csv").write_text(csv(ROWS))

    assert score(folder / "new.csv", "--out", folder / "out.csv").exit_code == 0

    assert not left.exists()


def test_a_place_that_takes_no_file_is_named(folder: Path) -> None:
    (folder / "new.csv").write_text(csv(ROWS))

    result = score(folder / "new.csv", "--out", "/proc/out.csv")

    assert result.exit_code == 1
    assert "Error: /proc/out.csv cannot be written: " in result.output


def test_rows_without_a_key_are_numbered_and_columns_come_in_any_order_with_others_between(folder: Path) -> None:
    table = pd.DataFrame(ROWS).drop(columns=["flight_id", "tailnum"]).assign(arr_delay=3.0)
    table[sorted(table.columns, reverse=True)].to_csv(folder / "new.csv", index=False)

    result = score(folder / "new.csv", "--out", folder / "out.parquet")

    assert result.exit_code == 0, result.output
    assert written(folder / "out.parquet")["row"] == [1, 2, 3, 4]
    assert written(folder / "out.parquet")["score"] == service([{**row, "tailnum": None} for row in ROWS]).scores
    assert "new.csv: without tailnum, which count as missing in every row" in result.output
    assert "new.csv: left out: arr_delay, which the model does not use" in result.output


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "new.csv: "),
        ("flight_id\n1\n", "'scheduled_departure' is required, and not there"),
        ("scheduled_departure,Carier\n2014-01-02,UA\n", "'carrier' is not there; did you mean it by 'Carier'?"),
        ("scheduled_departure,Carrier\n2014-01-02,UA\n", "'carrier' is not there; did you mean it by 'Carrier'?"),
        ("scheduled_departure,carrier,carrier\n2014-01-02,UA,UA\n", "'carrier' is there 2 times"),
        ("scheduled_departure,carrier\n2014-01-02\n", "Expected 2 columns, got 1"),
        ('scheduled_departure,carrier\n2014-01-02,"UA\n', "new.csv: "),
        ("scheduled_departure\nsoon\n", "row 1, column 'scheduled_departure': not a time; given: 'soon'"),
        ("scheduled_departure,distance\n2014-01-02T09,1\n2014-01-02T09,far\n", "row 2, column 'distance': not a num"),
        ("scheduled_departure,distance\n2014-01-02T09,inf\n", "row 1, column 'distance': not a finite number"),
        ("scheduled_departure,charter\n2014-01-02T09,maybe\n", "row 1, column 'charter': not a flag; given: 'maybe'"),
        ("scheduled_departure,carrier\n,UA\n", "row 1, column 'scheduled_departure': required, and missing"),
        ("scheduled_departure\n2013-01-01\n", "before this Bento's history"),
    ],
)
def test_what_cannot_be_answered_is_named_and_nothing_is_written(folder: Path, content: str, message: str) -> None:
    (folder / "new.csv").write_text(content)

    result = score(folder / "new.csv", "--out", folder / "out.parquet")

    assert result.exit_code == 1, result.output
    assert message in result.output
    assert sorted(path.name for path in folder.iterdir() if path.is_file()) == ["new.csv"]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (['{"scheduled_departure": "2014-01-02T10:30:00"}', '{"scheduled_dep'], "line 2 is not JSON"),
        (["[1]"], "row 1 is 1, and no object"),
        (["[", '{"scheduled_departure": 3}'], "the array is not JSON"),
        (['{"scheduled_departure": 3}'], "row 1, column 'scheduled_departure': not a time"),
        (['{"scheduled_departure": "2014-01-02T10:30:00+01:00"}'], "a time with an offset"),
        (['{"scheduled_departure": "2014-01-02T10:30:00", "distance": "far"}'], "column 'distance': not a number"),
    ],
)
def test_json_that_cannot_be_read_is_named(folder: Path, lines: list[str], message: str) -> None:
    (folder / "new.jsonl").write_text("\n".join(lines))

    result = score(folder / "new.jsonl", "--out", folder / "out.csv")

    assert result.exit_code == 1
    assert message in result.output
    assert not (folder / "out.csv").exists()


def test_without_rows_the_output_has_none_and_its_columns(folder: Path) -> None:
    (folder / "new.csv").write_text(csv(ROWS).splitlines()[0] + "\n")

    assert score(folder / "new.csv", "--out", folder / "out.parquet").exit_code == 0

    answered = written(folder / "out.parquet")
    assert list(answered) == ["flight_id", "score", "decision", "warnings", "model", "coordinates"]
    assert answered["score"] == []


def test_lenient_leaves_out_the_answers_that_there_are_none_for_and_says_why(folder: Path) -> None:
    rows = [ROWS[0], {**ROWS[1], "scheduled_departure": None}, {**ROWS[2], "distance": float("inf")}, ROWS[3]]
    (folder / "new.csv").write_text(csv(rows))

    result = score(folder / "new.csv", "--out", folder / "out.parquet", "--lenient")

    answered = written(folder / "out.parquet")
    expected = service([ROWS[0], ROWS[3]]).scores
    assert answered["score"] == [expected[0], None, None, expected[1]]
    assert answered["refused"][1:3] == [
        "column 'scheduled_departure': required, and missing or null",
        "column 'distance': not a finite number",
    ]
    assert (answered["refused"][0], answered["warnings"][1]) == (None, None)
    assert ", 2 refused, 1 without a key" in result.output


def test_a_key_keeps_every_character_and_every_digit(folder: Path) -> None:
    rows = csv(ROWS).replace("7,2014", "007,2014").replace("8,2014", "9007199254740993,2014")
    (folder / "new.csv").write_text(rows)
    pq.write_table(pa.Table.from_pylist([{**ROWS[0], "flight_id": 2**60 + 1}]), folder / "new.parquet")

    assert score(folder / "new.csv", "--out", folder / "out.parquet").exit_code == 0
    assert score(folder / "new.parquet", "--out", folder / "other.parquet").exit_code == 0

    assert written(folder / "out.parquet")["flight_id"] == ["007", "9007199254740993", None, "007"]
    assert written(folder / "other.parquet")["flight_id"] == [2**60 + 1]


def test_keys_that_are_named_as_answers_have_names_of_their_own(folder: Path) -> None:
    predictor, numbers = scoring.load(BentoStore().bundle(NAME)), pa.array([1])

    columns = scoring._names(predictor, Part([{}], {"score": numbers, "key_score": numbers}), scoring.Scored())

    assert list(columns) == ["key_score", "key_key_score"]


def test_what_is_there_is_not_written_over_unless_that_is_asked_for(folder: Path) -> None:
    (folder / "new.csv").write_text(csv(ROWS))
    (folder / "out.csv").write_text("mine")

    places = {
        folder / "out.csv": "exists; name another file, or add --replace",
        folder: "is a folder; name a file in it",
        folder / "out.txt": "ends otherwise than .parquet or .csv",
        folder / "none" / "out.csv": "does not exist; make it first",
        folder / "new.csv": "is a file to be scored",
    }
    for out, message in places.items():
        result = score(folder / "new.csv", "--out", out)
        assert (result.exit_code, message in result.output.replace("\n", " ")) == (2, True), result.output
    assert (folder / "out.csv").read_text() == "mine"
    assert score(folder / "new.csv", "--out", folder / "out.csv", "--replace").exit_code == 0
    assert len(pd.read_csv(folder / "out.csv")) == 4


def test_events_that_a_service_has_kept_count_here_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "new.jsonl").write_text(json.dumps(ROWS[0]))
    event = {"id": "f9", "origin": "JFK", "departed_at": "2014-01-02T08:00:00", "delay": 3}
    log = folder / "events"
    log.mkdir()
    (log / f"{NAME}.events.jsonl").write_text(json.dumps({"table": "flights", "rows": [event]}) + "\n")

    score(folder / "new.jsonl", "--out", folder / "before.parquet")
    monkeypatch.setenv("SEXTANT_EVENTS", str(log))
    score(folder / "new.jsonl", "--out", folder / "after.parquet")

    before, after = (written(folder / f"{name}.parquet")["score"][0] for name in ("before", "after"))
    assert after > before == service(ROWS[:1]).scores[0]


def test_rows_without_a_time_of_their_own_are_asked_about_as_of_one_for_all(packaged: Small) -> None:
    rows, out = packaged.home / "new.jsonl", packaged.home / "out.parquet"
    rows.write_text("\n".join(json.dumps({"id": number, "x_a": 1.5, "g": "a"}) for number in range(3)))
    wanted = [{"at": "2024-02-01T00:00:00", "x_a": 1.5, "g": "a"}] * 3

    command = ["score", "small", str(rows), "--out", str(out), "--replace"]
    now = CliRunner().invoke(main, [*command, "--as-of", "now"])
    then = CliRunner().invoke(main, [*command, "--as-of", "2024-02-01T00:00:00"])
    never = CliRunner().invoke(main, command)

    assert now.exit_code == 0, now.output
    assert f"asked about as of {dt.datetime.now(dt.UTC):%Y-%m-%d}" in now.output
    assert "where a file has no at" in then.output
    assert written(out)["score"] == load_predictor(BentoStore().bundle("small")).predict(wanted).scores
    assert "'at' is required, and not there" in never.output


def test_a_time_that_each_row_has_of_its_own_cannot_be_one_for_all(folder: Path) -> None:
    (folder / "new.csv").write_text(csv(ROWS))

    result = score(folder / "new.csv", "--as-of", "now")

    assert "asked 7200 s before scheduled_departure, of which each row has its own" in result.output


def test_files_of_other_programs_are_read_and_damaged_ones_named(folder: Path) -> None:
    import gzip

    text = csv(ROWS)
    (folder / "bom.csv").write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    (folder / "packed.csv.gz").write_bytes(gzip.compress(text.encode()))
    (folder / "packed.jsonl.gz").write_bytes(gzip.compress("\n".join(map(json.dumps, ROWS)).encode()))
    parquet(ROWS, folder / "whole.parquet")
    damaged = {"torn.csv.gz": "packed.csv.gz", "torn.jsonl.gz": "packed.jsonl.gz", "torn.parquet": "whole.parquet"}
    for torn, whole in damaged.items():
        (folder / torn).write_bytes((folder / whole).read_bytes()[:-30])
    (folder / "latin.csv").write_bytes(text.replace("UA", "ü").encode("latin-1"))

    for name in ("bom.csv", "packed.csv.gz", "packed.jsonl.gz", "whole.parquet"):
        assert score(folder / name, "--out", folder / "out.parquet", "--replace").exit_code == 0, name
        assert written(folder / "out.parquet")["score"] == service(ROWS).scores
    for name in (*damaged, "latin.csv"):
        result = score(folder / name, "--out", folder / "never.csv")
        assert (result.exit_code, name in result.output, "cannot be read" in result.output) == (1, True, True), (
            result.output
        )
    assert not (folder / "never.csv").exists()


def test_files_are_written_as_those_of_training(folder: Path) -> None:
    semicolons = csv([ROWS[0], {**ROWS[3], "carrier": "?"}]).replace(",", ";").replace(".", ",")
    (folder / "new.csv").write_text(semicolons)
    source = {"path": "train.csv", "separator": ";", "decimal": ",", "missing": ["?"], "columns": ["flight_id", "late"]}
    options = FileSource.model_validate(source)

    for ending in ("csv", "parquet"):
        if ending == "parquet":
            parquet(ROWS, folder / "new.parquet")
        predictor = scoring.load(BentoStore().bundle(NAME))
        place = str(folder / f"out {ending}.parquet")
        scoring.score(predictor, [str(folder / f"new.{ending}")], place, print, options=options)

    assert written(folder / "out csv.parquet")["score"] == service([ROWS[0], {**ROWS[3], "carrier": None}]).scores
    assert written(folder / "out parquet.parquet")["score"] == service(ROWS).scores


def test_without_a_bento_it_says_what_to_do(home: Path, tmp_path: Path) -> None:
    unknown = CliRunner().invoke(main, ["score", "flight_delay", "rows.csv"])
    unmade = CliRunner().invoke(main, ["score", "flight_delays:7", "rows.csv"])

    assert "there is no use case 'flight_delay'" in unknown.output
    assert "version 7 of 'flight_delays' has no Bento yet: materialize flight_delays/bento first" in unmade.output


def test_a_file_that_is_not_there_or_is_a_folder_is_named(folder: Path) -> None:
    for file, message in {
        "none.csv": "does not exist: name another one",
        "rows.txt": "",
        ".": "it is a folder",
    }.items():
        result = score(folder / file, "--out", folder / "out.csv")
        assert (result.exit_code, message in result.output) == (1, True), result.output


@pytest.mark.slow
def test_a_scoring_that_is_ended_leaves_nothing(folder: Path) -> None:
    reader, writer = os.pipe()
    environment = os.environ | {"PYTHONPATH": os.getcwd()}
    command = [sys.executable, "-m", "tests.support.score", NAME, "-", "--out", str(folder / "out.csv")]
    process = subprocess.Popen(command, stdin=reader, stderr=subprocess.PIPE, env=environment, text=True)
    os.close(reader)
    os.write(writer, (json.dumps(ROWS[0]) + "\n").encode())

    assert process.stderr is not None
    assert "model flight_delays:3" in process.stderr.readline()
    deadline = time.monotonic() + 60
    while not list(folder.glob("out.csv*.part")) and time.monotonic() < deadline:
        time.sleep(0.05)
    beside = list(folder.glob("out.csv*"))
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    os.close(writer)

    assert [path.suffix for path in beside] == [".part"]
    assert list(folder.glob("out.csv*")) == []


def test_the_champion_of_a_use_case_scores_its_own_file_and_the_output_is_located(packaged: Small) -> None:
    out = packaged.home / "scored.parquet"

    result = CliRunner().invoke(main, ["score", "small:1", str(packaged.rows), "--out", str(out)])

    assert result.exit_code == 0, result.output
    assert written(out)["id"] == [str(number) for number in range(600)]
    assert locate(str(out), tracking())["run"]["asset"] == "small/onnx_model"
    assert answers.ROWS >= 600
