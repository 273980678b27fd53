"""The search for a family's best settings: its space, folds, workers and study."""
