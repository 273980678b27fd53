"""Exports: the model of a Bento, as other servers take it."""
