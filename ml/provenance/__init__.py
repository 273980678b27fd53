"""The origin of a result: source, coordinates, stamps inside of files."""
