"""Families of torch networks, and the loop that trains them."""
