"""Histograms of a folder of shards: similarity, distance in time, motion."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from typing import NamedTuple

from data_prep.records.summary import BAND_BIN, GAP_BIN, MOTION_BIN
from mimicbrush.reports.colours import BLUE, GREEN
from mimicbrush.reports.html_page import columns, paragraph
from mimicbrush.reports.svg_chart import WIDTH, Scale, chart, horizontal_axis, rectangle, text, vertical_axis

HEIGHT = 210
LEFT, RIGHT, TOP, BOTTOM = 46, 18, 12, 42
"""Margins in pixels, for numbers and names of the axes."""
MIN_BARS, MAX_BARS = 6, 50
"""Smallest and largest number of bars on an axis."""
TAIL_SHARE = 0.95
"""Share of all counts after which the rest becomes one last bar, if the rest would take more than half of the axis."""
UNITS = ((1_000_000, 1_000_000, " M"), (10_000, 1000, " k"), (0, 1, ""))
"""Smallest highest count for which a unit is used, the unit, and its letter."""
NAME_UNIT = 10_000
"""Names of bins are decimals; as multiples of 1 / NAME_UNIT they are exact integers."""


class Bar(NamedTuple):
    """One bar of a histogram."""

    start: float
    end: float
    """End of the bar; infinite for the last bar of a long tail."""
    count: int


def histogram_section(summary: dict) -> list[str]:
    """Draw histograms: SSIM of compared and of kept pairs, and distance in time and motion of kept pairs."""
    band, drawn = summary["band"], []
    for name, title in (("candidates", "All pairs compared"), ("similarity", "Pairs used for training")):
        if summary[name]:
            bars = histogram_bars(summary[name], BAND_BIN)
            limits = min(0, *band) if band else 0, 1
            drawn.append(histogram_chart(bars, title=title, axis="SSIM", limits=limits, band=band))
    measures = {
        "gap": (GAP_BIN, "Pairs used for training", "seconds between the frames"),
        "motion": (
            MOTION_BIN,
            "Pairs used for training that have matches",
            "median shift of matches, share of the picture",
        ),
    }
    for name, (width, title, axis) in measures.items():
        if summary[name]:
            bars = histogram_bars(summary[name], width, has_tail=True)
            drawn.append(histogram_chart(bars, title=title, axis=axis, limits=(0, MIN_BARS * width)))
    words = f"The band, {band[0]:g} to {band[1]:g}, is shaded. " if band else ""
    note = paragraph(f"{words}Vertical: numbers of pairs.", note=True)
    return [note, columns(drawn)] if drawn else [paragraph("No similarity was measured.")]


def histogram_bars(counts: Mapping[str, int], usual_width: float, *, has_tail: bool = False) -> list[Bar]:
    """Turn bins, named by their lower edge, into bars of equal width; a bar joins several bins if there are many.

    usual_width: width of the bins, unless their names show a smaller one. has_tail: join a long tail into one bar.
    """
    width = math.gcd(*(round(float(name) * NAME_UNIT) for name in counts), round(usual_width * NAME_UNIT)) / NAME_UNIT
    bins = {round(float(name) / width): count for name, count in counts.items()}
    tail = _tail_start(bins) if has_tail else max(bins) + 1
    body = [number for number in bins if number < tail]
    per_bar = -(-(max(body) - min(body) + 1) // MAX_BARS)
    bars: Counter[int] = Counter()
    for number in body:
        bars[number // per_bar] += bins[number]
    width *= per_bar
    drawn = [Bar(number * width, (number + 1) * width, bars[number]) for number in sorted(bars)]
    beyond = sum(count for number, count in bins.items() if number >= tail)
    return [*drawn, Bar(drawn[-1].end, math.inf, beyond)] if beyond else drawn


def _tail_start(bins: Mapping[int, int]) -> int:
    """The first bin of a long tail; one past the last bin if there is none."""
    left = TAIL_SHARE * sum(bins.values())
    for number in sorted(bins):
        left -= bins[number]
        if left <= 0 and max(bins) > 2 * max(number, 1):
            return number + 1
    return max(bins) + 1


def histogram_chart(
    bars: list[Bar],
    *,
    title: str,
    axis: str,
    limits: tuple[float, float] | None = None,
    band: tuple[float, float] | None = None,
) -> str:
    """Draw a histogram with axes; limits: smallest range of the horizontal axis; band: range to shade."""
    usual = bars[0].end - bars[0].start
    ends = [bar.start + usual if math.isinf(bar.end) else bar.end for bar in bars]
    low, high = min(bar.start for bar in bars), max(ends)
    if limits:
        low, high = min(low, limits[0]), max(high, limits[1])
    highest = max(bar.count for bar in bars)
    across = Scale(low, high, LEFT, WIDTH - RIGHT)
    up = Scale(0, highest, HEIGHT - BOTTOM, TOP)
    elements = []
    if band:
        hint, width = f"the band: {band[0]:g} to {band[1]:g}", across(band[1]) - across(band[0])
        elements.append(
            rectangle(across(band[0]), TOP, width, up(0) - TOP, colour=GREEN, opacity=0.2, tooltip=hint, classes="band")
        )
    elements += vertical_axis(up, LEFT, WIDTH - RIGHT, label=_count_label(highest), max_intervals=4, min_step=1)
    for bar, end in zip(bars, ends, strict=True):
        span = f"{bar.start:g} or more" if math.isinf(bar.end) else f"{bar.start:g} to {end:g}"
        width = max(0.5, across(end) - across(bar.start) - 1)
        elements.append(
            rectangle(
                across(bar.start) + 0.5,
                up(bar.count),
                width,
                up(0) - up(bar.count),
                colour=BLUE,
                tooltip=f"{span}: {bar.count}",
                classes="bar",
            )
        )
    beyond = "; last bar: all beyond" if math.isinf(bars[-1].end) else ""
    elements += horizontal_axis(across, up(0), max_intervals=6)
    elements.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, axis + beyond, "middle"))
    return chart(elements, title=title, height=HEIGHT)


def _count_label(highest: int) -> Callable[[float], str]:
    """A function that writes counts up to `highest`, large ones in thousands or millions."""
    unit, letter = next((unit, letter) for least, unit, letter in UNITS if highest >= least)
    return lambda count: f"{count / unit:g}{letter if count else ''}"
