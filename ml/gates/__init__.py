"""The gates that a candidate must pass: their verdicts on an evaluation."""
