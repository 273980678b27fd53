"""The prediction log: what was answered, as Parquet files to learn from."""
