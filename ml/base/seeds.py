"""Seeds that derive from one."""

from hashlib import sha256


def derived_seed(*parts: object) -> int:
    """Return a 31-bit seed from the use case's seed, the family and the trial: no two share random numbers."""
    return int.from_bytes(sha256("/".join(map(str, parts)).encode()).digest()[:4], "big") >> 1
