"""From an answer to what each feature adds to it."""
