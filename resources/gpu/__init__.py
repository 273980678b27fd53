"""GPUs: leased to steps, and what they did there."""
