"""The command `sextant`."""
