"""The asset graph of a use case."""
