"""All assets of a use case."""

import dagster as dg

from assets.framework.case import Case
from assets.stages.bento import bento
from assets.stages.ensemble import ensemble
from assets.stages.evaluation import evaluation
from assets.stages.examples import examples
from assets.stages.feature_definitions import feature_definitions
from assets.stages.feature_selection import feature_selection
from assets.stages.features import features
from assets.stages.leaderboard import leaderboard
from assets.stages.model import model
from assets.stages.online_state import online_state
from assets.stages.onnx_model import onnx_model
from assets.stages.predictions import predictions
from assets.stages.production_model import production_model
from assets.stages.profile import profile
from assets.stages.raw import raw


def all_assets(case: Case) -> list[dg.AssetsDefinition]:
    """Return the asset graph of a use case, from its source tables to its batch predictions."""
    return [
        *(raw(case, table) for table in case.spec.tables),
        examples(case),
        profile(case),
        feature_definitions(case),
        features(case, "development", ["train", "validation"]),
        feature_selection(case),
        features(case, "test", ["test"]),
        *(model(case, name, declared) for name, declared in case.spec.models.families.items()),
        *([ensemble(case)] if case.spec.models.ensemble else []),
        leaderboard(case),
        onnx_model(case),
        evaluation(case),
        production_model(case),
        predictions(case),
        online_state(case),
        bento(case),
    ]
