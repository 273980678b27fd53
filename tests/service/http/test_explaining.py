"""Explanations on request, and the keys of rows, as a client sees them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator
from starlette.testclient import TestClient

from service.http.app import Application
from service.http.explaining import MOST_RECORDS
from service.http.served import Served
from tests.support.explained import KEYED, RECORD, TARGETS, bundle


def client_of(folder: Path) -> TestClient:
    served = Served()
    served.load(folder)
    assert served.not_ready is None
    return TestClient(Application(served))


@pytest.fixture(scope="module")
def boosted(tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    return client_of(bundle(tmp_path_factory.mktemp("boosted"), "lightgbm"))


def adds_up(explanation: Any) -> bool:
    total = explanation["base"] + sum(entry["contribution"] for entry in explanation["contributions"])
    return bool(total == pytest.approx(explanation["score"], abs=1e-6))


def checked(client: TestClient, content: Any, name: str) -> Any:
    """Check an answer by the document of the service, and return it."""
    document = client.get("/openapi.json").json()
    schema = {**document["components"]["schemas"][name], "components": document["components"]}
    Draft202012Validator(schema).validate(content)
    return content


def test_a_record_is_explained_by_its_features_and_their_values(boosted: TestClient) -> None:
    plain = boosted.post("/predict", json=RECORD).json()
    explained = checked(boosted, boosted.post("/predict?explain=true", json=RECORD).json(), "Answer")

    explanation = explained["explanation"]
    assert [explained[name] for name in ("score", "decision")] == [plain[name] for name in ("score", "decision")]
    assert "explanation" not in plain
    assert adds_up(explanation)
    assert 1 / (1 + np.exp(-explanation["score"])) == pytest.approx(explained["score"], abs=1e-6)
    assert {name: explanation[name] for name in ("method", "space", "background")} == {
        "method": "exact",
        "space": "log-odds",
        "background": 50,
    }
    values = {entry["feature"]: entry["value"] for entry in explanation["contributions"]}
    assert values == {"amount": 0.25, "flag": 1.0, "city": "Rome", "note": "good good"}
    sizes = [abs(entry["contribution"]) for entry in explanation["contributions"]]
    assert sizes == sorted(sizes, reverse=True)


def test_each_of_several_records_is_explained_as_it_is_alone(boosted: TestClient) -> None:
    unlike = [RECORD, {}, {"city": "Ulm", "amount": 1e30}, {**RECORD, "note": None}]

    many = checked(boosted, boosted.post("/predict?explain=true", json={"records": unlike}).json(), "Answers")

    alone = [boosted.post("/predict?explain=true", json=record).json()["explanation"] for record in unlike]
    assert many["explanations"] == alone
    assert all(map(adds_up, alone))
    values = {entry["feature"]: entry["value"] for entry in alone[1]["contributions"]}
    assert values == {"amount": None, "flag": None, "city": None, "note": None}


@pytest.mark.parametrize("name", ["lightgbm", "logistic", "random_forest", "mlp"])
def test_of_many_classes_the_likeliest_is_explained(tmp_path: Path, name: str) -> None:
    client = client_of(bundle(tmp_path / "bundle", name, "multiclass"))

    answer = checked(client, client.post("/predict?explain=true", json=RECORD).json(), "Answer")

    explanation = answer["explanation"]
    assert explanation["class"] == answer["class"]
    assert explanation["method"] == ("permutations" if name == "mlp" else "exact")
    assert ("samples" in explanation) == (name == "mlp")
    assert adds_up(explanation)
    if explanation["space"] == "probability":
        assert explanation["score"] == pytest.approx(answer["probabilities"][answer["class"]], abs=1e-6)


def test_each_of_several_targets_is_explained(tmp_path: Path) -> None:
    client = client_of(bundle(tmp_path / "bundle", "lightgbm", targets=True))

    answer = checked(client, client.post("/predict?explain=true", json=RECORD).json(), "Answer")

    assert list(answer["explanation"]) == list(TARGETS)
    assert all(map(adds_up, answer["explanation"].values()))


def test_a_number_is_explained_in_its_own_unit(tmp_path: Path) -> None:
    client = client_of(bundle(tmp_path / "bundle", "ridge", "regression"))

    answer = checked(client, client.post("/predict?explain=true", json=RECORD).json(), "Answer")

    assert answer["explanation"]["space"] == "number"
    assert answer["explanation"]["score"] == pytest.approx(answer["score"], abs=1e-5)
    assert adds_up(answer["explanation"])


def test_only_a_query_asks_for_it(boosted: TestClient) -> None:
    assert "explanation" not in boosted.post("/predict?explain=false", json=RECORD).json()
    assert "explanation" not in boosted.post("/predict?other=1", json=RECORD).json()
    assert boosted.post("/predict", json={**RECORD, "explain": True}).status_code == 422
    for asked in ("yes", "1", "", "True", "\x00"):
        refused = boosted.post("/predict", params={"explain": asked}, json=RECORD)
        assert refused.status_code == 422
        assert "give true or false" in refused.json()["error"]


def test_more_records_than_are_explained_at_a_time_are_refused(boosted: TestClient) -> None:
    most = {"records": [RECORD] * MOST_RECORDS}
    more = {"records": [RECORD] * (MOST_RECORDS + 1)}

    assert len(boosted.post("/predict?explain=true", json=most).json()["explanations"]) == MOST_RECORDS
    refused = boosted.post("/predict?explain=true", json=more)

    assert (refused.status_code, refused.json()["error"]) == (
        413,
        "101 records were given; have at most 100 explained at a time",
    )
    assert boosted.post("/predict", json=more).status_code == 200


def test_a_model_from_before_is_answered_without_an_explanation_and_says_why(tmp_path: Path) -> None:
    client = client_of(bundle(tmp_path / "bundle", "logistic", carried=False))

    refused = client.post("/predict?explain=true", json=RECORD)

    assert refused.status_code == 501
    assert "it was exported before models did; retrain" in refused.json()["error"]
    assert "no record was scored" in refused.json()["error"]
    assert client.post("/predict", json=RECORD).status_code == 200
    assert client.post("/predict", json={**RECORD, "id": 7}).status_code == 422
    operation = client.get("/openapi.json").json()["paths"]["/predict"]["post"]
    assert "parameters" not in operation
    assert "501" in operation["responses"]


def test_the_document_describes_the_question(boosted: TestClient) -> None:
    operation = boosted.get("/openapi.json").json()["paths"]["/predict"]["post"]

    (parameter,) = operation["parameters"]
    assert (parameter["name"], parameter["in"], parameter["schema"]["type"]) == ("explain", "query", "boolean")
    assert "501" not in operation["responses"]


def test_the_key_of_a_row_is_taken_and_told_again_and_changes_nothing(boosted: TestClient) -> None:
    plain = boosted.post("/predict", json=RECORD).json()

    keyed = checked(boosted, boosted.post("/predict", json={**RECORD, "id": KEYED["id"]}).json(), "Answer")

    assert keyed["key"] == KEYED
    assert keyed["score"] == plain["score"]
    assert plain["key"] == {"city": "Rome"}  # a column of the record that is a part of the key


def test_some_records_may_have_a_key_and_others_none(boosted: TestClient) -> None:
    records = [{"id": 7}, {}, {"id": None, "city": "Oslo"}]

    content = checked(boosted, boosted.post("/predict", json={"records": records}).json(), "Answers")

    assert content["keys"] == [{"id": 7}, None, {"city": "Oslo"}]
    assert "keys" not in boosted.post("/predict", json={"records": [{}, {"amount": 1}]}).json()
    assert "key" not in boosted.post("/predict", json={"amount": 1}).json()


@pytest.mark.parametrize("value", ["7", True, [7], {"a": 1}])
def test_a_key_of_another_type_is_refused(boosted: TestClient, value: Any) -> None:
    refused = boosted.post("/predict", json={**RECORD, "id": value})

    assert refused.status_code == 422
    (problem,) = refused.json()["problems"]
    assert (problem["field"], problem["error"]) == ("id", "not a number")


def test_a_key_is_no_feature_and_in_the_schema_of_a_record(boosted: TestClient) -> None:
    schema = boosted.get("/schema").json()

    assert schema["properties"]["id"]["description"] == "says which row it is, and is no feature"
    assert "description" not in schema["properties"]["city"]
    features = boosted.post("/predict?explain=true", json={**RECORD, "id": 7}).json()["explanation"]["contributions"]
    assert "id" not in {entry["feature"] for entry in features}


def test_each_record_of_a_request_has_a_name_of_its_own(boosted: TestClient) -> None:
    ids = [name for _ in range(3) for name in boosted.post("/predict", json={"records": [RECORD] * 40}).json()["ids"]]

    assert len(set(ids)) == 120
    assert json.dumps(ids[:40]) == json.dumps(sorted(ids[:40]))
