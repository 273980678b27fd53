"""The kinds of task: labels, metrics, encoded rows, samples of rows."""
