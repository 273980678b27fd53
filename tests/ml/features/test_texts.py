"""Columns of texts from the declaration to the service: of the row itself, of one looked up, and computed ones."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ml.base.sql import DataError
from ml.declaration.use_case import UseCaseSpec
from ml.exported.model import ExportedModel
from ml.exported.onnx import export
from ml.features.define import define_features
from ml.features.definitions import FeatureDefinitions
from ml.features.golden_requests import golden_rows, records
from ml.features.matrix import feature_matrix
from ml.features.online_state import online_state
from ml.models.catalogue import family
from ml.models.family import Training
from ml.tables.computed import with_computed
from ml.tasks.encoding import Encoder
from service.predict.predictor import Predictor, load_predictor

pytestmark = pytest.mark.filterwarnings("ignore")

DECLARED: dict[str, Any] = {
    "description": "Useful?",
    "tables": {
        "reviews": {
            "source": {"path": "reviews.csv"}, "key": "id", "logical_types": {"body": "text", "both": "text"},
            "computed": {"both": "concat_ws(' ', title, body)"},
        },
        "products": {
            "source": {"path": "products.csv"}, "key": "sku", "logical_types": {"about": "text", "maker": "category"},
        },
    },
    "relationships": ["reviews.sku -> products.sku"],
    "examples": {
        "table": "reviews", "target": "useful", "split": {"validation_share": 0.2, "test_share": 0.2},
    },
    "features": {
        "text": {"body": {"characters": [3, 4], "terms": 30}, "products.about": {"rows": 1, "characters": None}},
    },
    "models": {"lightgbm": {"trials": 1}},
}  # fmt: skip
BODIES = [
    "Great value, great size!",
    "BROKEN on arrival…",
    None,
    "",
    "Très bien — ÉTÉ",
    "ok",
    "很好 24/7",
    "the the the",
]


def spec_of(**changes: Any) -> UseCaseSpec:
    return UseCaseSpec.model_validate(DECLARED | changes)


def tables(spec: UseCaseSpec) -> dict[str, pa.Table]:
    random, n = np.random.default_rng(0), 240
    frame = pd.DataFrame({"id": range(n), "body": random.choice(np.array(BODIES, object), n)})
    frame["title"] = random.choice(np.array(["Good", "Bad", None], object), n)
    frame["sku"] = random.choice(np.array(["a", "b", "c", "gone"], object), n)
    frame["stars"] = random.integers(1, 6, n).astype(float)
    frame["useful"] = frame["body"].fillna("").str.contains("reat|很") ^ (random.random(n) < 0.1)
    products = {
        "sku": ["a", "b", "c"],
        "about": ["A red chair", None, "Red table, RED lamp"],
        "maker": ["x", "y", None],
    }
    plain = {"reviews": pa.Table.from_pandas(frame), "products": pa.table(products)}
    return {name: with_computed("a test", spec.tables[name], table) for name, table in plain.items()}


def define(spec: UseCaseSpec) -> FeatureDefinitions:
    return define_features("useful", spec, tables(spec))


def test_a_text_is_a_feature_of_its_own_kind_and_its_settings_follow_it() -> None:
    definitions = define(spec_of())

    kinds = {feature.name: (feature.kind, feature.type) for feature in definitions.features}
    assert kinds == {
        "body": ("column", "text"), "both": ("synthesis", "text"), "title": ("column", "categorical"),
        "stars": ("column", "numeric"), "sku": ("column", "categorical"), "products.about": ("lookup", "text"),
        "products.maker": ("lookup", "categorical"),
    }  # fmt: skip
    about = {vocabulary.column: vocabulary for vocabulary in definitions.texts}
    assert [grams.kind for grams in about["body"].grams] == ["words", "characters"]
    assert (about["body"].most, about["products.about"].rows, about["both"].most) == (30, 1, 500)
    assert definitions.categorical == ["products.maker", "sku", "title"]
    assert FeatureDefinitions.model_validate_json(definitions.model_dump_json()) == definitions


def test_texts_are_no_categories_of_deep_feature_synthesis() -> None:
    votes = {"source": {"path": "votes.csv"}, "key": "vote", "time": "at", "logical_types": {"remark": "text"}}
    reviews = DECLARED["tables"]["reviews"] | {"time": "at"}
    spec = spec_of(
        tables=DECLARED["tables"] | {"votes": votes, "reviews": reviews},
        relationships=[*DECLARED["relationships"], "votes.id -> reviews.id"],
        examples=DECLARED["examples"] | {"cutoff": "at"},
        features={"synthesis": {"depth": 2, "aggregations": ["num_unique"]}},
    )
    at = pa.array([pd.Timestamp("2024-01-01")] * 240, pa.timestamp("us"))
    sent = pa.table(
        {"vote": range(3), "id": range(3), "at": at[:3], "remark": ["a b", "c", "d"], "by": ["x", "y", "y"]}
    )
    sources = tables(spec_of()) | {"votes": sent}
    sources["reviews"] = sources["reviews"].append_column("at", at)

    features = define_features("useful", spec, sources).features

    names = {feature.name: feature.type for feature in features}
    assert {name for name, kind in names.items() if kind == "text"} == {"body", "both", "products.about"}
    assert "NUM_UNIQUE(votes.by)" in names
    assert not [name for name in names if "remark" in name or ("(" in name and ("body" in name or "about" in name))]


@pytest.mark.parametrize("name", ["title", "nothing", "about"])
def test_settings_of_what_is_no_text_are_refused_with_those_that_are(name: str) -> None:
    with pytest.raises(DataError, match=rf"features.text names \['{name}'\].*'body', 'both', 'products.about'"):
        define(spec_of(features={"text": {name: {}}}))


@pytest.mark.parametrize("name", ["body: no words", 'body: words "never seen"', 'products.about: characters "red"'])
def test_a_column_with_the_name_of_a_number_of_a_text_is_refused_by_both_names(name: str) -> None:
    sources = tables(spec_of())
    sources["reviews"] = sources["reviews"].append_column(name, sources["reviews"]["stars"])

    with pytest.raises(DataError, match=r"the column .* has the name of a number that the text 'body|products"):
        define_features("useful", spec_of(), sources)
    define_features("useful", spec_of(features={"ignore": [name]}), sources)


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ({"words": None, "characters": None}, "neither words nor characters"),
        ({"words": [2, 1]}, r"words: \[2, 1\] are not from 1 to 5"),
        ({"characters": [0, 3]}, r"characters: \[0, 3\] are not from 1 to 10"),
        ({"terms": 10_001}, "10000"),
    ],
)
def test_lengths_that_no_term_has_are_refused(terms: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        spec_of(features={"text": {"body": terms}})


def test_a_declaration_without_texts_says_nothing_of_them() -> None:
    declared = spec_of(features={}).resolved()

    assert "text" not in declared["features"]


@pytest.fixture(scope="module")
def bundle(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Predictor, ExportedModel, list[dict[str, Any]], np.ndarray]:
    """A service of a model of these texts, the model, golden requests and what the batch path answers to them."""
    spec, folder = spec_of(), tmp_path_factory.mktemp("bundle")
    sources = tables(spec)
    definitions = define_features("useful", spec, sources)
    rows = pd.DataFrame({"id": range(240), "cutoff": pd.NaT})
    frame = feature_matrix(spec, definitions, sources, rows)
    encoder = Encoder.fit(frame, definitions.numeric, definitions.categorical, definitions.texts)
    X, y = encoder.encode(frame), np.asarray(sources["reviews"]["useful"]).astype(np.int8)
    model = family("lightgbm").fit(
        Training(X, y, X, y, encoder), {**family("lightgbm").defaults(), "rounds": 30, "min_data_in_leaf": 5}, seed=0
    )
    about = {"sextant.encoder": json.dumps(encoder.to_dict()), "sextant.definitions": definitions.model_dump_json()}
    exported = ExportedModel(export(model, encoder, about))
    asked, cutoffs = golden_rows(spec, definitions, sources["reviews"], rows, 40)
    batch = exported.scores(feature_matrix(spec, definitions, sources, cutoffs, asked))
    written = online_state("useful", spec, definitions, sources, rows["cutoff"])
    golden = {"records": [], "scores": []}
    documents = {"coordinates.json": {"id": "1", "model_version": "1"}, "golden.json": golden}
    contents = {name: json.dumps(document).encode() for name, document in documents.items()}
    for name, content in {**written, **contents, "model.onnx": exported.content}.items():
        (Path(folder) / name).write_bytes(content)
    requests = json.loads(json.dumps(records(spec, definitions, asked, cutoffs)))
    return load_predictor(folder), exported, requests, batch


def test_the_service_answers_as_the_batch_does_to_the_bit(bundle: Any) -> None:
    predictor, _, requests, batch = bundle

    together = predictor.predict(requests).scores
    alone = [predictor.predict([request]).scores[0] for request in requests]

    assert together == alone == batch.tolist()
    assert not predictor.is_quick
    assert len(set(together)) > 10


def test_the_model_carries_its_words(bundle: Any) -> None:
    _, exported, _, _ = bundle

    (body,) = [text for text in exported.encoder.texts if text.column == "body"]

    assert {"great", "the the", "été", "很好"} <= set(body.grams[0].terms)
    inputs = json.loads(exported.metadata["sextant.inputs"])
    assert inputs["numeric"] == ["stars"]
    assert [text["column"] for text in inputs["texts"]] == ["body", "products.about", "both"]


@given(
    body=st.none()
    | st.text(max_size=60)
    | st.lists(st.sampled_from([str(b) for b in BODIES]), max_size=5).map(" ".join)
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_is_answered_by_the_service_as_by_the_model(bundle: Any, body: str | None) -> None:
    predictor, exported, requests, _ = bundle
    request = requests[0] | {"body": body, "title": None, "sku": "c"}
    values = {"body": body, "both": body or "", "title": None, "stars": request["stars"], "sku": "c",
              "products.about": "Red table, RED lamp", "products.maker": None}  # fmt: skip

    served = predictor.predict([request]).scores

    assert served == exported.scores(pd.DataFrame([values])).tolist()
