"""featuretools' definitions as SQL."""
