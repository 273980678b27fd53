"""Formats of files: each a way in which the rows of one file or of several are read."""
