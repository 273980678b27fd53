"""The code of an asset is what can change its result: an edit changes that of some assets and of no others."""

from typing import Any

import pytest

from assets.framework.case import Case
from assets.graph import all_assets
from dagster_project.components import UseCase
from ml.declaration.catalogue import CATALOGUE
from ml.declaration.models import Models
from ml.provenance.source import running
from resources.kinds import KINDS
from tests.support.edited import Edit

PROMOTED = "production_model"
DECLARED: dict[str, Any] = {
    "description": "Which?",
    "tables": {"rows": {"source": {"path": "rows.csv"}, "key": "id"}},
    "examples": {"table": "rows", "target": "y = 1", "split": {"validation_share": 0.2, "test_share": 0.2}},
    "models": {"logistic": {}, "lightgbm": {}, "ensemble": {}},
    "gates": {"roc_auc": {"at_least": 0.7}},
}


def code_versions() -> dict[str, str | None]:
    assets = all_assets(Case("small", UseCase.model_validate(DECLARED)))
    return {"/".join(spec.key.path[1:]): spec.code_version for each in assets for spec in each.specs}


@pytest.mark.parametrize(
    ("path", "old", "new", "changed"),
    [
        (
            "ml/search/blended.py",
            'name="blend"',
            'name="mixture"',
            {"models/logistic", "models/lightgbm", "models/ensemble", "leaderboard", "onnx_model", "evaluation"},
        ),
        ("ml/search/ensemble.py", "halves[::-1]", "(*halves[::-1],)", {"models/ensemble"}),
        (
            "ml/models/linear.py",
            "MAX_ITERATIONS = 100",
            "MAX_ITERATIONS = 99",
            {"models/logistic", "onnx_model", "evaluation"},
        ),
        ("ml/report/plots/style.py", "#1f5fa8", "#1f5fa9", {"evaluation"}),  # its figures
        ("ml/declaration/features.py", "How far back to look", "How far to look back", set()),  # words
        ("ml/declaration/splits/kind.py", '"""Whether all rows', '"""True if all rows', set()),
        ("ml/tasks/metrics.py", "the mean absolute error", "the mean of absolute errors", set()),
        ("ml/report/card.py", "That is no proof", "It is no proof", set()),
        ("ml/report/page.html", "<h1>", "<h1 class='page'>", set()),
        ("ml/gates/judge.py", 'return list(gates_of(gates, ""))', 'return [*gates_of(gates, "")]', {PROMOTED}),
        ("ml/declaration/gate_kinds/bound.py", "value >= self", "value > self", {PROMOTED}),
        ("ml/declaration/gate_kinds/kind.py", "value <= limit", "value < limit", {PROMOTED}),
        ("ml/declaration/gate_kinds/comparison.py", "else chosen", "else float(chosen)", {PROMOTED}),
    ],
)
def test_an_edit_changes_the_code_of_what_it_can_change(
    path: str, old: str, new: str, changed: set[str], edit: Edit
) -> None:
    before = code_versions()

    edit(path, old, new)

    after = code_versions()
    assert {asset for asset in before if after[asset] != before[asset]} == changed


def test_the_code_of_the_exported_model_has_the_class_of_whatever_may_be_the_candidate() -> None:
    fitted = {place.partition(":")[0] for name, place in KINDS.items() if name.startswith("fitted_")}

    models = Models.model_validate({name: {} for name in (*CATALOGUE, "ensemble")})

    assert fitted <= set(running().reach(*models.modules))
