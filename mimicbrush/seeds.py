"""Seeds of independent random streams, made from names and numbers: every rule of the project is here.

New code uses `seed_of`. The other rules are older; they stay because their numbers decide the bytes of shards and
benchmark sets that exist, and what a training run that resumes draws.
"""

from __future__ import annotations

import hashlib
import random


def seed_of(*parts: object) -> int:
    """A 63-bit seed for these parts, usually (seed, purpose, number, ...); other parts give an unrelated seed."""
    # repr keeps the number and the places of the parts: (0, 1) and (0, 1, 0) are two streams.
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % 2**63


def seed_of_input(seed: int, name: str) -> int:
    """Seed for preparing one clip, still or rendered picture, whoever works on it and when."""
    return stable_hash(f"{seed}:{name}")


def seed_of_draw(seed: int, name: str) -> int:
    """Seed for the order in which photographs are drawn for a benchmark set."""
    return stable_hash(f"{seed}/{name}")


def random_of_position(seed: int, position: int) -> random.Random:
    """Generator for augmenting the training sample at a position of the order."""
    return random.Random(f"{seed} {position}")


def first_order_seeds(*numbers: int) -> list[int]:
    """Seeds, for NumPy, of version 1 of the order of samples (`data/order.py`): runs begun with it keep it."""
    return [number % 2**63 for number in numbers]


def stable_hash(text: str) -> int:
    """64 bits of the text's SHA-256: unlike `hash`, the same in every process."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
