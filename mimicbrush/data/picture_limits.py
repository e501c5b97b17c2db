"""Limits on the size of a stored picture, for those who write shards and those who read them."""

from __future__ import annotations

MIN_SIDE, MAX_SIDE = 16, 16_384
"""Smallest and largest side of a stored picture in pixels; other pictures count as damaged."""
MAX_ASPECT = 8
"""Largest aspect ratio of a stored picture; of a longer one, hardly anything would be left in the square."""
LIMITS = f"sides of {MIN_SIDE} to {MAX_SIDE} pixels, at most {MAX_ASPECT}:1"
"""The limits in words."""


def is_storable(width: int, height: int) -> bool:
    """Whether training accepts a stored picture of this size."""
    short, long = sorted((width, height))
    return short >= MIN_SIDE and long <= min(MAX_SIDE, MAX_ASPECT * short)
