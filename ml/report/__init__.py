"""The report: its page, its card and its pictures."""
