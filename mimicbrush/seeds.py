"""Seeds of independent random streams, made from names and numbers."""

from __future__ import annotations

import hashlib


def seed_of(*parts: object) -> int:
    """A 63-bit seed for these parts, usually (seed, purpose, number, ...); other parts give an unrelated seed."""
    # repr keeps the number and the places of the parts: (0, 1) and (0, 1, 0) are two streams.
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % 2**63
