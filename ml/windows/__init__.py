"""Aggregates over windows of time, exact and in one pass."""
