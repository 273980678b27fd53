"""What a candidate must pass: pure predicates over an evaluation."""
