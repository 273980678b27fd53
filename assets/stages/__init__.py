"""The assets of a use case, one module each."""
