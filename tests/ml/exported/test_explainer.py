"""Every family: what a model carries to be explained by adds up to what its own library says."""

from __future__ import annotations
