"""What every asset has in common: storage, reuse, tracking, coordinates, checks, metadata."""
