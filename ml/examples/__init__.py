"""The rows to learn from: built, split, grouped, checked."""
