"""Kinds of splits: a new one is a file, and a line of the catalogue."""
