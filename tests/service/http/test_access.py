from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from service.http.access import read_access
from service.http.app import Application
from service.http.limits import SettingError
from service.http.served import Served
from tests.support.applications import unnamed

KEY = {"x-api-key": "secret-of-the-house"}
PREFLIGHT = {
    "origin": "https://app.example.org",
    "access-control-request-method": "POST",
    "access-control-request-headers": "content-type, x-api-key",
}


def client_with(served: Served, **settings: str) -> TestClient:
    served.access = read_access({f"SEXTANT_{name}": value for name, value in settings.items()})
    return TestClient(Application(served))


def test_all_but_probes_takes_a_key(served: Served, record: dict[str, Any]) -> None:
    client = client_with(served, API_KEYS="other,secret-of-the-house")

    paths = ["/healthz", "/livez", "/readyz", "/metrics", "/", "/schema", "/openapi.json", "/nowhere", "/healthz/"]
    statuses = {path: (client.get(path).status_code, client.get(path, headers=KEY).status_code) for path in paths}
    asked = [client.post("/predict", json=record, headers=headers) for headers in ({}, KEY)]
    statuses["/predict"] = asked[0].status_code, asked[1].status_code

    assert statuses.pop("/healthz") == statuses.pop("/livez") == statuses.pop("/readyz") == (200, 200)
    assert statuses.pop("/nowhere") == statuses.pop("/healthz/") == (401, 404)
    assert set(statuses.values()) == {(401, 200)}


def test_a_refusal_says_what_to_send_and_does_nothing(
    served: Served, record: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    client = client_with(served, API_KEYS="secret-of-the-house")
    event = {"table": "flights", "rows": [{"id": "f8", "origin": "JFK", "departed_at": "2014-01-02T07:00:00"}]}
    before = unnamed(client.post("/predict", json=record, headers=KEY).json())

    response = client.post("/events", json=event, headers={"authorization": "Bearer a-wrong-one"})

    assert response.status_code == 401
    assert response.headers["www-authenticate"] == 'Bearer realm="sextant"'
    assert response.json() == {
        "error": "this service takes an API key, as `Authorization: Bearer <key>` or `x-api-key: <key>`"
    }
    assert unnamed(client.post("/predict", json=record, headers=KEY).json()) == before
    assert "secret-of-the-house" not in caplog.text + client.get("/", headers=KEY).text
    assert "a-wrong-one" not in caplog.text


def test_the_page_to_try_it_needs_no_key_and_asks_for_one(served: Served) -> None:
    client = client_with(served, API_KEYS="secret-of-the-house")

    paths = ["/docs", "/docs/start.js", "/docs/swagger-ui.css", "/docs/swagger-ui-bundle.js"]

    assert {path: client.get(path).status_code for path in paths} == dict.fromkeys(paths, 200)
    assert "prompt(" in client.get("/docs/start.js").text


def test_figures_are_open_where_a_setting_says_so(served: Served) -> None:
    client = client_with(served, API_KEYS="key", OPEN_METRICS="1")

    assert (client.get("/metrics").status_code, client.get("/schema").status_code) == (200, 401)
    assert 'status="401"' in client.get("/metrics").text


def test_keys_are_told_by_the_document(served: Served) -> None:
    document = client_with(served, API_KEYS="secret-of-the-house").get("/openapi.json", headers=KEY).json()

    assert document["components"]["securitySchemes"] == {
        "bearer": {"type": "http", "scheme": "bearer"},
        "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
    }
    predict, healthz = document["paths"]["/predict"]["post"], document["paths"]["/healthz"]["get"]
    assert predict["security"] == [{"bearer": []}, {"key": []}]
    content = predict["responses"]["401"]["content"]["application/json"]
    assert content["schema"] == predict["responses"]["500"]["content"]["application/json"]["schema"]
    assert "security" not in healthz
    assert "401" not in healthz["responses"]
    assert "security" in document["paths"]["/metrics"]["get"]


def test_without_keys_the_document_tells_of_none(client: TestClient) -> None:
    document = client.get("/openapi.json").json()

    assert "securitySchemes" not in document["components"]
    assert not any("security" in operation for path in document["paths"].values() for operation in path.values())


@pytest.mark.parametrize("origins", ["https://app.example.org", "https://a.org, https://app.example.org"])
def test_a_page_of_an_origin_may_ask(served: Served, record: dict[str, Any], origins: str) -> None:
    client = client_with(served, CORS_ORIGINS=origins, API_KEYS="secret-of-the-house")

    before = client.options("/predict", headers=PREFLIGHT)
    asked = client.post("/predict", json=record, headers={**KEY, "origin": "https://app.example.org"})
    without_key = client.post("/predict", json=record, headers={"origin": "https://app.example.org"})

    assert before.status_code == 200
    for answered in (before, asked, without_key):
        assert answered.headers["access-control-allow-origin"] == "https://app.example.org"
        assert "origin" in answered.headers["vary"].lower()
        assert "access-control-allow-credentials" not in answered.headers
    assert "x-api-key" in before.headers["access-control-allow-headers"].lower()
    assert "x-sextant-events-max-age" in before.headers["access-control-allow-headers"].lower()
    assert "x-sextant-model" in asked.headers["access-control-expose-headers"]
    assert "x-sextant-events-age" in asked.headers["access-control-expose-headers"]
    assert (asked.status_code, without_key.status_code) == (200, 401)


@pytest.mark.parametrize(
    "changed",
    [
        {"origin": "https://evil.example.org"},
        {"origin": "http://app.example.org"},
        {"origin": "https://app.example.org.evil.org"},
        {"origin": "null"},
        {"access-control-request-method": "DELETE"},
        {"access-control-request-headers": "x-other"},
    ],
)
def test_another_page_or_method_or_header_may_not(served: Served, changed: dict[str, str]) -> None:
    client = client_with(served, CORS_ORIGINS="https://app.example.org")

    response = client.options("/predict", headers={**PREFLIGHT, **changed})

    assert response.status_code == 403
    assert response.json()["error"].startswith("Disallowed CORS ")
    if "origin" in changed:
        assert "access-control-allow-origin" not in response.headers
        assert "access-control-allow-origin" not in client.get("/schema", headers=changed).headers


def test_any_page_may_ask_where_the_setting_is_a_star_and_none_with_credentials(served: Served) -> None:
    client = client_with(served, CORS_ORIGINS="*")

    for response in (client.options("/predict", headers=PREFLIGHT), client.get("/", headers={"origin": "https://a.b"})):
        assert response.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in response.headers


def test_without_origins_no_page_may_ask(client: TestClient) -> None:
    response = client.options("/predict", headers=PREFLIGHT)

    assert response.status_code == 405
    assert not [name for name in response.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    "origin", ["app.example.org", "https://a.org/", "https://a.org/path", "ftp://a.org", "null", "https://"]
)
def test_what_is_no_origin_is_refused(origin: str) -> None:
    with pytest.raises(SettingError, match="SEXTANT_CORS_ORIGINS takes"):
        read_access({"SEXTANT_CORS_ORIGINS": f"https://b.org, {origin}"})


@pytest.mark.parametrize(
    "settings",
    [{"SEXTANT_API_KEYS_FILE": "/nowhere/keys"}, {"SEXTANT_CORS_ORIGINS": "here"}, {"SEXTANT_OPEN_METRICS": "perhaps"}],
)
def test_a_process_with_such_a_setting_is_not_ready_says_which_and_answers_nobody(
    write_bundle: Any, record: dict[str, Any], monkeypatch: pytest.MonkeyPatch, settings: dict[str, str]
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    served = Served()

    served.start(write_bundle())

    client = TestClient(Application(served))
    assert next(iter(settings)) in client.get("/readyz").json()["error"]
    assert client.post("/predict", json=record).status_code == 503


def test_requests_are_counted_once_whatever_they_are_answered(served: Served, record: dict[str, Any]) -> None:
    client = client_with(served, CORS_ORIGINS="*", API_KEYS="secret-of-the-house")

    client.options("/predict", headers=PREFLIGHT)
    client.post("/predict", json=record)
    client.post("/predict", json=record, headers=KEY)
    client.get("/nowhere", headers=KEY)

    assert served.work.count == 0
