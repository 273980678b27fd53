"""The search for settings: studies, trials, folds, workers, blends."""
