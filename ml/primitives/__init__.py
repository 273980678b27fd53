"""featuretools' primitives in SQL."""
