"""The clients that others wrote ask an application that is really served, each on a port of its own."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from starlette.testclient import TestClient

from service.http.app import Application
from service.http.served import Served
from service.rpc import server
from tests.service.rpc.test_server import Loop
from tests.support.applications import started

COUNT = 150


@pytest.fixture
def port(parcels: Served) -> Iterator[int]:
    """Yield the port of the served application."""
    with started(Application(parcels)) as url:
        yield int(url.rpartition(":")[2])


@pytest.fixture
def records(parcel: dict[str, Any]) -> list[dict[str, Any]]:
    weights = [None, 2.5, -70.0]
    return [{**parcel, "weight": weights[place % 3], "pieces": float(place % 20)} for place in range(COUNT)]


@pytest.fixture
def expected(parcels: Served, records: list[dict[str, Any]]) -> dict[str, Any]:
    return TestClient(Application(parcels)).post("/predict", json={"records": records}).json()


@pytest.mark.parametrize("binary", [True, False])
def test_tritons_client_of_http_is_answered(port: int, records: Any, expected: Any, binary: bool) -> None:
    from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput
    from tritonclient.utils import InferenceServerException

    with InferenceServerClient(f"127.0.0.1:{port}") as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("parcels")
        assert not client.is_model_ready("parcels", "4")
        assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
        described = client.get_model_metadata("parcels", "3")["inputs"]
        inputs = []
        for tensor in described:
            values = [record[tensor["name"]] for record in records]
            kinds: dict[str, Any] = {"FP64": np.float64, "BOOL": np.bool_, "BYTES": np.object_}
            array = np.array([np.nan if value is None else value for value in values], kinds[tensor["datatype"]])
            missing = tensor["datatype"] == "FP64" and not binary
            wanted = InferInput(tensor["name"], [COUNT], tensor["datatype"])
            inputs.append(wanted.set_data_from_numpy(array, binary_data=binary or missing))
        outputs = [InferRequestedOutput(name, binary_data=binary) for name in ("decision", "score", "warnings")]

        result = client.infer("parcels", inputs, outputs=outputs, request_id="7")
        whole = client.infer("parcels", inputs)
        with pytest.raises(InferenceServerException, match="there is no model 'others'"):
            client.infer("others", inputs)

    assert result.as_numpy("score").tolist() == expected["scores"]
    assert result.as_numpy("decision").tolist() == expected["decisions"]
    assert [json.loads(text) for text in result.as_numpy("warnings")] == expected["warnings"]
    assert result.get_response()["id"] == "7"
    assert whole.as_numpy("score").tolist() == expected["scores"]


def test_mlflows_client_is_answered(port: int, records: Any, expected: Any) -> None:
    from mlflow.pyfunc.scoring_server.client import ScoringServerClient

    client = ScoringServerClient("127.0.0.1", port)

    client.wait_server_ready()
    answers = client.invoke(pd.DataFrame(records)).get_predictions()

    assert answers["score"].tolist() == expected["scores"]
    assert answers["decision"].tolist() == expected["decisions"]
    assert answers["warnings"].tolist() == expected["warnings"]
    assert json.loads(client.get_version())["version"] == "3"
    with pytest.raises(Exception, match=r"error code 422.*unknown columns"):
        client.invoke(pd.DataFrame({"wings": [2]}))


def blocks(language: str) -> list[str]:
    """Return the code of the page's sections about protocols."""
    page = (Path(__file__).parents[3] / "docs" / "serve.md").read_text()
    sections = page[page.index("## Many rows at once") : page.index("## Score a file")]
    sections += page[page.index("## The protocol of KServe and Triton") :]
    return re.findall(rf"```{language}\n(.*?)```", sections, re.DOTALL)


@pytest.fixture
def places(write_bundle: Any, plan: dict[str, Any], write_numbers: Any, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Serve flight_delays and breast_cancer; yield where they are, by where the page has them."""
    plan["lookups"]["origin"]["since"] = "2013-01-01T00:00:00"
    served, numbers = Served(), Served()
    served.load(write_bundle(plan))
    numbers.load(write_numbers("breast_cancer"))
    frame = pd.DataFrame({"a": [0.1, 0.2], "b": [1.0, np.nan]})
    frame.to_parquet(tmp_path / "rows.parquet")
    frame.to_csv(tmp_path / "rows.csv", index=False)
    loop = Loop()
    grpc = loop.run(server.start(numbers, "127.0.0.1", 0))
    with started(Application(served)) as flights, started(Application(numbers)) as cancer:
        yield {
            "http://127.0.0.1:3001": flights,
            "http://127.0.0.1:3002": cancer,
            "127.0.0.1:3002": cancer.removeprefix("http://"),
            "127.0.0.1:8033": f"127.0.0.1:{grpc.port}",
        }
    loop.run(grpc.close())
    loop.end()


def at(places: dict[str, str], code: str) -> str:
    for place, where in places.items():
        code = code.replace(place, where)
    return code


@pytest.mark.skipif(shutil.which("curl") is None, reason="the page asks with curl")
def test_the_commands_of_the_page_are_answered(places: dict[str, str], tmp_path: Path) -> None:
    commands = [command for block in blocks("sh") for command in re.split(r"\n(?=curl)", block) if "curl" in command]

    for command in commands:
        run = subprocess.run(
            ["bash", "-c", at(places, command).replace("curl -s", "curl -sS --fail-with-body")],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert run.returncode == 0, f"{command}\n{run.stdout}{run.stderr}"

    assert len(commands) == 7
    assert len(pd.read_parquet(tmp_path / "answers.parquet")) == 2


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_the_client_of_the_page_is_answered(
    places: dict[str, str], protocol: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (code,) = [block for block in blocks("python") if f"tritonclient.{protocol}" in block]

    exec(at(places, code), {})

    assert len(capsys.readouterr().out.split()) in (3, 4)  # the scores, in brackets
