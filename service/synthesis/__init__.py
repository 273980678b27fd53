"""Synthesized features: the rows that a query needs, and the query."""
