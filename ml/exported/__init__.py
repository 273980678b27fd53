"""The exported model: its graph, what it carries, and what it answers."""
