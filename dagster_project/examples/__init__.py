"""Source tables of the use cases that ship with Sextant."""
