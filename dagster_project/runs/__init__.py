"""Runs that a terminal starts: launched, followed step by step, and reported."""
