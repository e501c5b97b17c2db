"""Format numbers for reports and terminals. Large counts are formatted by `errors.spaced`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # it imports SciPy's distributions, which takes a second
    from mimicbrush.statistics import Interval

BYTE_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


def format_number(value: float, *, sign: str = "") -> str:
    """Write three decimals up to 1, two above, and `∞` for infinity. sign: text before positive numbers."""
    sign = sign if value > 0 else ""
    if math.isinf(value):
        return f"{sign}∞" if value > 0 else "-∞"
    return f"{sign}{value:.3f}" if round(abs(value), 3) <= 1 else f"{sign}{value:.2f}"


def format_interval(interval: Interval | None, *, sign: str = "") -> str:
    """Write `0.625 [0.500, 0.750]`, or an empty text for None. sign: text before positive numbers."""
    if interval is None:
        return ""
    mean, low, high = (format_number(value, sign=sign) for value in interval[:3])
    return f"{mean} [{low}, {high}]"


def format_bytes(size: float) -> str:
    """Write three digits in the smallest unit that needs no more before the point, such as `13.2 MiB`."""
    power = min(len(BYTE_UNITS) - 1, int(math.log(max(size, 1), 1000)))
    return f"{size / 1024**power:.3g} {BYTE_UNITS[power]}"
