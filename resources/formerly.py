"""The places of classes of stored results, from when they were stored under the names of their modules.

Results, models and pickles of then name these places. What is stored today has a stable name; a class without one that
a user may have stored is added here when it moves, with the name that it gets in the catalogue.
"""

from collections.abc import Mapping

FORMERLY: Mapping[str, str] = {
    "assets.bento:PackagedBento": "packaged_bento",
    "assets.production:ProductionModel": "production_model",
    "assets.promoted:ProductionModel": "production_model",
    "ml.encoding:Encoder": "encoder",
    "ml.ensemble:FittedEnsemble": "fitted_ensemble",
    "ml.ensemble:Member": "ensemble_member",
    "ml.evaluation:Evaluation": "evaluation",
    "ml.feature_definitions:FeatureDefinitions": "feature_definitions",
    "ml.leaderboard:Leaderboard": "leaderboard",
    "ml.metrics:Task": "task",
    "ml.models.catboost:FittedCatBoost": "fitted_catboost",
    "ml.models.forest:FittedForest": "fitted_forest",
    "ml.models.hist_boosting:FittedHistBoosting": "fitted_hist_boosting",
    "ml.models.lightgbm:FittedLightGBM": "fitted_lightgbm",
    "ml.models.linear:FittedLinear": "fitted_linear",
    "ml.models.network:FittedNetwork": "fitted_network",
    "ml.models.shapes:ImageSizes": "image_sizes",
    "ml.models.shapes:Shape": "network_shape",
    "ml.models.shapes:TabularSizes": "tabular_sizes",
    "ml.models.xgboost:FittedXGBoost": "fitted_xgboost",
    "ml.search.study:Trial": "trial",
    "ml.selection:SelectedFeatures": "feature_selection",
    "ml.tuning:TunedModel": "tuned_model",
}
