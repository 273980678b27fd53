"""The kinds of gates, one to a file: what a declaration says of it, and its verdict on an evaluation."""
