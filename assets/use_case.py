"""All assets of a use case."""

import dagster as dg

from assets import bento, data, ensemble, evaluation, features, models, online_state, predictions, production, selection
from assets.step import Case


def all_assets(case: Case) -> list[dg.AssetsDefinition]:
    """The asset graph of a use case, from its source tables to its batch predictions."""
    return [
        *(data.raw(case, table) for table in case.spec.tables),
        data.examples(case),
        features.feature_definitions(case),
        features.features(case, "development", ["train", "validation"]),
        selection.feature_selection(case),
        features.features(case, "test", ["test"]),
        *(models.model(case, name, declared) for name, declared in case.spec.models.families.items()),
        *([ensemble.ensemble(case, blended)] if (blended := case.spec.models.ensemble) else []),
        models.leaderboard(case),
        models.onnx_model(case),
        evaluation.evaluation(case),
        production.production_model(case),
        predictions.predictions(case),
        online_state.online_state(case),
        bento.bento(case),
    ]
