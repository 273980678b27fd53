"""Features: what they are, and their values as known at each row's cutoff."""
