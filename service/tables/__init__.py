"""The bundle's tables: read, grouped, looked up."""
