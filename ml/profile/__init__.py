"""The profile: what the examples and their columns look like before any model."""
