from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from starlette.testclient import TestClient

from service.http.app import Application
from service.http.bentos import Bentos
from service.http.follower import Follower
from service.http.limits import SettingError
from service.http.rollout import Rollout, interleave, read_rollout
from service.http.served import Served
from tests.support.applications import unnamed
from tests.support.stored_bentos import StoredBentos


def start(bentos: StoredBentos, monkeypatch: pytest.MonkeyPatch, **settings: str) -> Served:
    """Serve 1-a, with settings of a rollout."""
    for name, value in settings.items():
        monkeypatch.setenv(f"SEXTANT_{name}", value)
    served = Served()
    served.start(bentos.bundle("1-a"))
    return served


def records(record: dict[str, Any], count: int) -> list[dict[str, Any]]:
    return [{**record, "distance": 500 + number} for number in range(count)]


def models(served: Served, sent: list[dict[str, Any]]) -> list[str]:
    """Return the model of each answer to one record, which is the one that its headers name."""
    client, answered = TestClient(Application(served)), []
    for record in sent:
        response = client.post("/predict", json=record)
        assert response.status_code == 200
        assert response.headers["x-sextant-model"] == response.json()["model"]
        assert response.headers["x-sextant-coordinates"] == response.json()["coordinates"]
        answered.append(response.json()["model"])
    return answered


def test_settings_of_a_rollout() -> None:
    assert read_rollout({}) is read_rollout({"SEXTANT_FOLLOW": "", "SEXTANT_SPLIT": ""}) is None
    assert read_rollout({"SEXTANT_FOLLOW": "2.5"}) == Rollout(follow=2.5)
    assert read_rollout({"SEXTANT_SHADOW": "uc:4-b"}) == Rollout(shadow="uc:4-b")
    assert read_rollout({"SEXTANT_SPLIT": "uc:4-b:0.25"}) == Rollout(challenger="uc:4-b", share=0.25)
    assert read_rollout({"SEXTANT_SPLIT": "4-b:1"}) == Rollout(challenger="4-b", share=1.0)


@pytest.mark.parametrize("value", ["4-b", "0.1", ":0.1", "4-b:1.5", "4-b:-0.1", "4-b:half", "4-b:nan", "4-b:"])
def test_a_split_that_is_none_is_refused(value: str) -> None:
    with pytest.raises(SettingError, match="SEXTANT_SPLIT"):
        read_rollout({"SEXTANT_SPLIT": value})


@pytest.mark.parametrize(
    ("setting", "value", "reason"),
    [
        ("SPLIT", "9-z:0.5", "SEXTANT_SPLIT: '9-z' is not in"),
        ("SHADOW", "flight_delays:9-z", "SEXTANT_SHADOW: 'flight_delays:9-z' is not in"),
        ("SHADOW", "churn:2-b", "SEXTANT_SHADOW: 'churn:2-b' is no Bento of flight_delays"),
        ("SHADOW", "../1-a", "SEXTANT_SHADOW: '../1-a' is no Bento of flight_delays"),
        ("SPLIT", "3-c:0.5", "SEXTANT_SPLIT: flight_delays:3-c takes other records, or answers otherwise"),
        ("SHADOW", "4-d", "SEXTANT_SHADOW: flight_delays:4-d: a golden score differs"),
        (
            "SPLIT",
            "5-e:0.5",
            "SEXTANT_SPLIT: flight_delays:5-e was built with other code of the service than",
        ),
    ],
)
def test_a_version_that_cannot_answer_beside_leaves_a_process_that_is_not_ready_and_says_why(
    bentos: StoredBentos, plan: dict[str, Any], monkeypatch: pytest.MonkeyPatch, setting: str, value: str, reason: str
) -> None:
    bentos.add("3-c", 3, plan={**plan, "record": {**plan["record"], "other": "number"}})
    bentos.add("4-d", 4, golden_score=0.5)
    bentos.add("5-e", 5)
    (bentos.folder / "5-e" / "src" / "service" / "predict" / "answers.py").write_text("# of another release")

    served = start(bentos, monkeypatch, **{setting: value})

    assert served.not_ready is not None
    assert served.not_ready.startswith(reason)


def test_a_challenger_answers_its_share_and_a_record_always_has_the_same_version(
    bentos: StoredBentos, record: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    served, again = (start(bentos, monkeypatch, SPLIT="2-b:0.25") for _ in range(2))
    sent = records(record, 400)

    first = models(served, sent)

    counts = Counter(first)
    assert set(counts) == {"flight_delays:1", "flight_delays:2"}
    assert 70 <= counts["flight_delays:2"] <= 130  # four standard deviations of a binomial
    assert (
        models(again, [dict(reversed(one.items())) for one in sent]) == first
    )  # another worker, keys in another order


def test_a_key_always_has_the_same_version_whatever_else_the_record_says(
    bentos: StoredBentos, plan: dict[str, Any], record: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for version, number in (("5-e", 5), ("6-f", 6)):
        bentos.add(version, number, plan={**plan, "key": {"leg": "number", "flight_id": "text"}})
    monkeypatch.setenv("SEXTANT_SPLIT", "6-f:0.5")
    served = Served()
    served.start(bentos.bundle("5-e"))

    def by_key(distance: float) -> list[str]:
        keys = [{"flight_id": f"f{number}", "leg": number % 3} for number in range(60)]
        return models(served, [{**record, "distance": distance, **key} for key in keys])

    assert by_key(500) == by_key(70) == by_key(500)
    assert set(by_key(500)) == {"flight_delays:5", "flight_delays:6"}
    without = [{**one, "flight_id": None, "leg": 1} for one in records(record, 60)]
    assert set(models(served, without)) == {"flight_delays:5", "flight_delays:6"}  # by their content


def test_a_key_and_a_record_have_the_same_version_however_they_are_spelled(
    bentos: StoredBentos, plan: dict[str, Any], record: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for version, number in (("5-e", 5), ("6-f", 6)):
        bentos.add(version, number, plan={**plan, "key": {"leg": "number", "at": "time"}})
    monkeypatch.setenv("SEXTANT_SPLIT", "6-f:0.5")
    served = Served()
    served.start(bentos.bundle("5-e"))
    keys = [{"leg": number, "at": f"2014-01-15T08:30:{number}"} for number in range(10, 50)]
    others = [{"leg": float(key["leg"]), "at": f"{key['at']}.000".replace("T", " ")} for key in keys]

    assert models(served, [{**record, **key} for key in keys]) == models(served, [{**record, **key} for key in others])
    assert models(served, records(record, 40)) == models(
        served, [{**one, "distance": float(one["distance"]), "leg": None} for one in records(record, 40)]
    )


@pytest.mark.parametrize(("share", "model"), [("0", "flight_delays:1"), ("1", "flight_delays:2")])
def test_a_share_may_be_none_or_all(
    bentos: StoredBentos, record: dict[str, Any], monkeypatch: pytest.MonkeyPatch, share: str, model: str
) -> None:
    assert set(models(start(bentos, monkeypatch, SPLIT=f"2-b:{share}"), records(record, 50))) == {model}


def test_each_record_of_a_list_has_the_version_that_it_has_alone(
    bentos: StoredBentos, record: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    served = start(bentos, monkeypatch, SPLIT="2-b:0.5")
    client, sent = TestClient(Application(served)), records(record, 60)
    sent[7] = {**sent[7], "tailnum": "N9"}
    alone = [client.post("/predict", json=one).json() for one in sent]

    response = client.post("/predict", json={"records": sent})

    content = response.json()
    assert unnamed(content) == {
        "scores": [one["score"] for one in alone],
        "model": [one["model"] for one in alone],
        "coordinates": [one["coordinates"] for one in alone],
        "warnings": [one["warnings"] for one in alone],
    }
    assert len(set(content["ids"])) == len(sent)
    assert response.headers["x-sextant-model"] == "flight_delays:1, flight_delays:2"
    assert response.headers["x-sextant-coordinates"] == "c1, c2"


def test_a_list_of_one_version_is_answered_as_ever(
    bentos: StoredBentos, record: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    served = start(bentos, monkeypatch, SPLIT="2-b:1")

    content = TestClient(Application(served)).post("/predict", json={"records": [record] * 3}).json()

    assert (content["model"], content["coordinates"], len(content["scores"])) == ("flight_delays:2", "c2", 3)


def test_a_problem_is_named_at_its_place_in_the_list(
    bentos: StoredBentos, record: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    served = start(bentos, monkeypatch, SPLIT="2-b:0.5")
    client, sent = TestClient(Application(served)), records(record, 40)

    for place in range(0, 40, 7):
        spoilt = [*sent[:place], {**sent[place], "carrier": 5}, *sent[place + 1 :]]
        response = client.post("/predict", json={"records": spoilt})
        assert response.status_code == 422
        assert [problem["record"] for problem in response.json()["problems"]] == [place]


def test_the_document_tells_that_a_list_may_be_answered_by_both(
    bentos: StoredBentos, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = TestClient(Application(start(bentos, monkeypatch, SPLIT="2-b:0.5"))).get("/openapi.json").json()

    properties = split["components"]["schemas"]["Answers"]["properties"]
    assert properties["model"] == {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
    assert properties["scores"]["type"] == "array"


@pytest.mark.parametrize("share", ["0", "1"])
def test_all_versions_take_in_events_though_they_are_kept_nowhere(
    bentos: StoredBentos, record: dict[str, Any], monkeypatch: pytest.MonkeyPatch, share: str
) -> None:
    client = TestClient(Application(start(bentos, monkeypatch, SPLIT=f"2-b:{share}")))
    event = {"id": "f8", "origin": "JFK", "departed_at": "2014-01-02T07:00:00", "delay": 1.5}
    before = client.post("/predict", json=record).json()["score"]

    assert client.post("/events", json={"table": "flights", "rows": [event]}).status_code == 200

    assert client.post("/predict", json=record).json()["score"] > before


def test_a_challenger_that_became_the_champion_answers_all(
    bentos: StoredBentos, record: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    served = start(bentos, monkeypatch, SPLIT="2-b:0.5", FOLLOW="60")
    follower = Follower(served, Bentos(bentos.folder), 60)

    bentos.promote("2-b")
    follower.look()

    assert set(models(served, records(record, 40))) == {"flight_delays:2"}


def test_a_challenger_that_takes_other_records_than_a_new_champion_answers_none(
    bentos: StoredBentos, plan: dict[str, Any], record: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    bentos.add("3-c", 3, plan={**plan, "record": {**plan["record"], "other": "number"}})
    served = start(bentos, monkeypatch, SPLIT="2-b:0.5", FOLLOW="60")
    follower = Follower(served, Bentos(bentos.folder), 60)

    bentos.promote("3-c")
    follower.look()

    assert set(models(served, records(record, 40))) == {"flight_delays:3"}


def test_answers_of_parts_take_the_places_of_their_records() -> None:
    first = [0, 3], {"scores": [0.0, 0.3], "threshold": 0.5, "thresholds": {"a": 1}, "warnings": [[], ["w"]], "same": 1}
    second = [1, 2, 4], {
        "scores": [0.1, 0.2, 0.4], "threshold": 0.6, "thresholds": {"a": 2}, "warnings": [["v"], [], []], "same": 1
    }  # fmt: skip

    assert interleave([first, second]) == {
        "scores": [0.0, 0.1, 0.2, 0.3, 0.4],
        "threshold": [0.5, 0.6, 0.6, 0.5, 0.6],
        "thresholds": [{"a": 1}, {"a": 2}, {"a": 2}, {"a": 1}, {"a": 2}],
        "warnings": [[], ["v"], [], ["w"], []],
        "same": 1,
    }
    assert interleave([first]) == first[1]


def test_latency_is_told_by_model(
    bentos: StoredBentos, record: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    served = start(bentos, monkeypatch, SPLIT="2-b:0.5")
    answered = Counter(models(served, records(record, 40)))

    text = TestClient(Application(served)).get("/metrics").text

    for model, count in answered.items():
        assert f'sextant_model_seconds_count{{model="{model}"}} {float(count)}' in text
