"""The evaluation on the test split."""
