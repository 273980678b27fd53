"""Windows over events: exact sums in two reads."""
