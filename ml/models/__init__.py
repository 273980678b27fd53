"""Model families: how each is fitted, answers, and is exported."""
