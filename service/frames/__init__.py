"""Frames: many records as columns, answered by the same predictor as single ones."""
