"""The code location: use cases loaded, what starts them by itself, the instance."""
