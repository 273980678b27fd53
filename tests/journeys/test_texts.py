"""A use case of texts, from its file to predictions."""

import numpy as np
import pandas as pd
import pytest

import sextant
from assets.framework.case import Case
from assets.graph import all_assets
from assets.stages.model import training
from dagster_project.components import UseCase
from ml.declaration.features import Terms
from ml.exported.model import ExportedModel
from ml.features.definitions import Feature, FeatureDefinitions
from resources.bentos import BentoStore
from resources.ledger import Ledger
from resources.storage import storage
from service.predict.predictor import load_predictor
from tests.support.small import Small


@pytest.mark.filterwarnings("ignore")
def test_a_use_case_of_texts_is_searched_selected_judged_and_explained_by_column(small: Small) -> None:
    random, n = np.random.default_rng(0), 300
    words = np.array(["good", "bad", "chair", "lamp", "the", "É"])
    notes = [" ".join(random.choice(words, 6)) for _ in range(n)]
    rows = pd.DataFrame({"id": range(n), "note": notes, "x": random.normal(size=n)})
    rows["y"] = (rows["note"].str.count("good") > rows["note"].str.count("bad")).astype(int)
    rows.loc[::9, "note"] = None
    rows.to_csv(small.rows, index=False)
    table = {"source": {"path": str(small.rows)}, "key": "id", "logical_types": {"note": "text"}}

    small.materialize(
        until="bento",
        tables={"rows": table},
        features={"selection": {"keep": 1}, "text": {"note": {"characters": [3, 3], "terms": 20}}},
        tuning={"folds": 2},
        models={"logistic": {"trials": 2}, "lightgbm": {"trials": 1}, "ensemble": {}},
    )

    evaluation = stored("evaluation")
    assert evaluation.metrics["roc_auc"] > 0.8
    assert [importance.feature for importance in evaluation.importances] == ["note"]
    assert evaluation.importances[0].drop > 0.2
    assert evaluation.serving.parity < 1e-5
    (vocabulary,) = ExportedModel(stored("onnx_model")).encoder.texts
    assert {"good", "bad", "é"} <= set(vocabulary.grams[0].terms)
    served = load_predictor(BentoStore().bundle("small"))
    assert served.difference() == 0
    asked = pd.DataFrame({"note": ["good GOOD good", "bad", None, "", "unseen…"], "x": 0.0})
    answers = sextant.model("small@champion").predict(asked)["score"]
    assert answers.tolist() == served.predict(asked.replace({np.nan: None}).to_dict("records")).scores
    assert answers[0] > answers[2] == answers[3] > answers[1]
    shap = sextant.model("small@champion").explain(asked).values
    assert list(shap.columns) == ["note"]
    assert shap["note"][0] > shap["note"][1]


def test_words_of_validation_and_test_rows_are_learned_by_nobody() -> None:
    parts = ["train"] * 4 + ["validation"] * 2 + ["test"] * 2
    notes = ["seen", "seen here", "here seen", "seen", "later", "later seen", "last", "last"]
    rows = pd.DataFrame({"split": parts, "note": notes, "target": [0, 1] * 4})
    note = Feature(name="note", kind="column", type="text", column="note", terms=Terms(rows=1, characters=None))
    definitions = FeatureDefinitions(row="", history={}, features=[note], lookups={}, record={"note": "text"})

    data = training(rows, definitions)

    assert data.encoder.texts[0].grams[0].terms == ("seen", "here", "here seen", "seen here")
    assert data.X_valid.tolist() == [[0, 0, 0, 0, 0], [0, 1, 0, 0, 0]]


def test_a_family_that_takes_no_texts_is_refused_when_the_use_case_is_loaded(small: Small) -> None:
    table = {"source": {"path": str(small.rows)}, "key": "id", "logical_types": {"x": "text"}}
    declared = small.declared(tables={"rows": table}, models={"cnn": {}})

    with pytest.raises(ValueError, match=r"models.cnn cannot learn from the texts .* \(rows.x\); leave the family out"):
        all_assets(Case("small", UseCase.model_validate(declared)))
    all_assets(Case("small", UseCase.model_validate(declared | {"tables": {"rows": table | {"ignore": ["x"]}}})))


def stored(asset: str):  # type: ignore[no-untyped-def]
    """The last result of an asset."""
    return storage().load(Ledger().latest_result(f"small/{asset}"))
