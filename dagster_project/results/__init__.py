"""Results: located, compared, reproduced, removed."""
