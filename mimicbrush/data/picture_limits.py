"""Limits on the size of a stored picture and its object masks, for those who write shards and those who read them."""

from __future__ import annotations

MIN_SIDE, MAX_SIDE = 16, 16_384
"""Smallest and largest side of a stored picture in pixels; other pictures count as damaged."""
MAX_ASPECT = 8
"""Largest aspect ratio of a stored picture; of a longer one, hardly anything would be left in the square."""
MIN_OBJECT_AREA, MAX_OBJECT_AREA = 0.02, 0.5
"""Smallest and largest share of a source that its chosen object masks cover together; others are not hidden."""
LIMITS = f"sides of {MIN_SIDE} to {MAX_SIDE} pixels, at most {MAX_ASPECT}:1"
"""The limits in words."""


def is_storable(width: int, height: int) -> bool:
    """Whether training accepts a stored picture of this size."""
    short, long = sorted((width, height))
    return short >= MIN_SIDE and long <= min(MAX_SIDE, MAX_ASPECT * short)
