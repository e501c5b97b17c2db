"""Bar charts as SVG, in the page's own colours, so that they are right in light and dark."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from html import escape
from typing import NamedTuple

from data_prep.summary import BAND_BIN, GAP_BIN, MOTION_BIN
from mimicbrush.reports.html_page import charts, nice_step, paragraph, svg_figure, svg_text

WIDTH, HEIGHT = 440, 210
LEFT, RIGHT, TOP, BOTTOM = 46, 18, 12, 42
"""Room for the axes' numbers and names."""
MIN_BARS, MAX_BARS = 6, 50
"""For which an axis has room."""
TAIL_SHARE = 0.95
"""What lies beyond this share of all counts becomes one last bar, where it would take more than half of the axis."""
BAR_COLOUR = "#3a86ff"
BAND_COLOUR = "#2a9d8f"
STAGE_COLOURS = ("#3a86ff", "#fb8500", "#2a9d8f", "#b5179e", "#e63946", "#8d99ae")
UNITS = ((1_000_000, 1_000_000, " M"), (10_000, 1000, " k"), (0, 1, ""))
"""From which highest count on an axis is numbered in which unit."""
NAME_UNIT = 10_000
"""Bins are named by decimals; their widths are compared as whole ten-thousandths."""


class Bar(NamedTuple):
    """One bar of a histogram."""

    start: float
    end: float
    """Infinite for the last one of a long tail."""
    count: int


def histogram_section(summary: dict) -> list[str]:
    """SSIM of compared and of kept pairs, and how far those lie apart in time and in the picture."""
    band, drawn = summary["band"], []
    for name, title in (("candidates", "All pairs compared"), ("similarity", "Pairs kept")):
        if summary[name]:
            bars = histogram_bars(summary[name], BAND_BIN)
            limits = min(0, *band) if band else 0, 1
            drawn.append(histogram_chart(bars, title=title, axis="SSIM", limits=limits, band=band))
    measures = {
        "gap": (GAP_BIN, "Pairs kept", "seconds between the frames"),
        "motion": (MOTION_BIN, "Pairs kept that have matches", "median shift of matches, share of the picture"),
    }
    for name, (width, title, axis) in measures.items():
        if summary[name]:
            bars = histogram_bars(summary[name], width, has_tail=True)
            drawn.append(histogram_chart(bars, title=title, axis=axis, limits=(0, MIN_BARS * width)))
    words = f"The band, {band[0]:g} to {band[1]:g}, is shaded. " if band else ""
    note = paragraph(f"{words}Vertical: numbers of pairs.", note=True)
    return [note, charts(drawn)] if drawn else [paragraph("No similarity was measured.")]


def histogram_bars(counts: Mapping[str, int], usual_width: float, *, has_tail: bool = False) -> list[Bar]:
    """Bars of equal width from bins named by their lower edge; several bins to a bar where there are many.

    usual_width: of the bins, unless their names show a smaller one; has_tail: whether a long tail may be cut.
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
    """The first bin of a tail that is to be cut off; one past the last where there is none."""
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
    """A histogram with its axes; `limits` of the horizontal one widen with the bars, `band` is shaded."""
    usual = bars[0].end - bars[0].start
    ends = [bar.start + usual if math.isinf(bar.end) else bar.end for bar in bars]
    low, high = min(bar.start for bar in bars), max(ends)
    if limits:
        low, high = min(low, limits[0]), max(high, limits[1])
    across = (WIDTH - LEFT - RIGHT) / (high - low)
    floor, up = HEIGHT - BOTTOM, (HEIGHT - TOP - BOTTOM) / max(bar.count for bar in bars)
    parts = []
    if band:
        parts.append(
            f"<rect x='{LEFT + (band[0] - low) * across:.1f}' y='{TOP}' width='{(band[1] - band[0]) * across:.1f}' "
            f"height='{floor - TOP}' fill='{BAND_COLOUR}' opacity='.2'>"
            f"<title>the band: {band[0]:g} to {band[1]:g}</title></rect>"
        )
    parts += _vertical_axis(max(bar.count for bar in bars), floor, up)
    for bar, end in zip(bars, ends, strict=True):
        span = f"{bar.start:g} or more" if math.isinf(bar.end) else f"{bar.start:g} to {end:g}"
        parts.append(
            f"<rect class='bar' x='{LEFT + (bar.start - low) * across + 0.5:.1f}' y='{floor - bar.count * up:.1f}' "
            f"width='{max(0.5, (end - bar.start) * across - 1):.1f}' height='{bar.count * up:.1f}' "
            f"fill='{BAR_COLOUR}'><title>{span}: {bar.count}</title></rect>"
        )
    beyond = "; last bar: all beyond" if math.isinf(bars[-1].end) else ""
    parts += _horizontal_axis(low, high, axis + beyond, floor, across)
    return svg_figure(parts, title, WIDTH, HEIGHT)


def _vertical_axis(highest: int, floor: float, up: float) -> list[str]:
    step = max(1, round(nice_step(highest, 4)))
    unit, letter = next((unit, letter) for least, unit, letter in UNITS if highest >= least)
    lines = []
    for number in range(math.floor(highest / step) + 1):
        y = floor - number * step * up
        lines.append(f"<path d='M{LEFT} {y:.1f}H{WIDTH - RIGHT}' stroke='currentColor' opacity='.2'/>")
        lines.append(svg_text(LEFT - 6, y + 4, f"{number * step / unit:g}{letter if number else ''}", "end"))
    return lines


def _horizontal_axis(low: float, high: float, name: str, floor: float, across: float) -> list[str]:
    step = nice_step(high - low, 6)
    numbers = range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    ticks = [svg_text(LEFT + (n * step - low) * across, floor + 17, f"{n * step:g}", "middle") for n in numbers]
    return [*ticks, svg_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, name, "middle")]


def stacked_bar(amounts: Mapping[str, float], unit: str) -> str:
    """One bar of shares, with a legend that names each with its amount and share."""
    total = sum(amounts.values())
    parts, legend, start = [], [], 0.0
    for number, (name, amount) in enumerate(amounts.items()):
        colour, share = STAGE_COLOURS[number % len(STAGE_COLOURS)], amount / total
        text = escape(f"{name} {amount:.1f} {unit}, {100 * share:.0f} %", quote=True)
        parts.append(
            f"<rect class='share' x='{1000 * start:.1f}' width='{1000 * share:.1f}' height='20' fill='{colour}'>"
            f"<title>{text}</title></rect>"
        )
        legend.append(f"<span><i style='background:{colour}'></i>{text}</span>")
        start += share
    return (
        f"<svg class='shares' viewBox='0 0 1000 20' preserveAspectRatio='none' role='img' aria-label='shares'>"
        f"{''.join(parts)}</svg><p class='legend'>{''.join(legend)}</p>"
    )
