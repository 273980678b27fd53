"""The framework around every asset: storage, reuse, tracking, coordinates, checks, metadata."""
