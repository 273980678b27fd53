"""The plan of a model: how a business record becomes its features, as `plan.json` says it."""
