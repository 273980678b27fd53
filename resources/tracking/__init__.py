"""MLflow: runs, the registry, the history of promotions."""
