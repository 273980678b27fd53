"""Business records: read, checked, and the keys in them."""
