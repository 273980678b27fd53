"""Where a result comes from: source, coordinates, stamps inside of files."""
