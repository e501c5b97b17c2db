"""Seeds of independent random streams, made from names and numbers; all rules of the project are here.

New code uses `seed_of`. The other rules are older. They stay because their numbers determine the bytes of existing
shards and benchmark sets, and the random numbers of a training run that resumes.
"""

from __future__ import annotations

import hashlib
import random


def seed_of(*parts: object) -> int:
    """Make a 63-bit seed from parts, usually (seed, purpose, number, ...); different parts give unrelated seeds."""
    # repr keeps the number and the order of the parts: (0, 1) and (0, 1, 0) are different streams.
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % 2**63


def seed_of_edit(seed: int, sample: str) -> int:
    """Seed for the edit of a benchmark's sample, given by its id.

    Each sample has noise of its own: what one noise that all shared does to every edit, such as a tint, would not show
    in intervals over samples.
    """
    return seed_of(seed, "edit", sample)


def seed_of_input(seed: int, name: str) -> int:
    """Seed for preparing one clip, still or rendered picture, independent of task and order."""
    return stable_hash(f"{seed}:{name}")


def seed_of_draw(seed: int, name: str) -> int:
    """Seed for the order in which photographs are drawn for a benchmark set."""
    return stable_hash(f"{seed}/{name}")


def random_of_position(seed: int, position: int) -> random.Random:
    """Generator for augmenting the training sample at a position of the order."""
    return random.Random(f"{seed} {position}")


def first_order_seeds(*numbers: int) -> list[int]:
    """Seeds for NumPy in version 1 of the order of samples (`data/order.py`), which runs begun with it keep."""
    return [number % 2**63 for number in numbers]


def stable_hash(text: str) -> int:
    """Hash a text to 64 bits of its SHA-256; unlike `hash`, the same in every process."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
