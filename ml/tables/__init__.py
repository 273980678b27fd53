"""Source tables: read, checked, described."""
