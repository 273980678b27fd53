"""Drafts of a declaration from data: what files say, what is guessed from it, and what only a person can answer."""
