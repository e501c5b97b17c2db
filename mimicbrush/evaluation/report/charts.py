"""Paired differences as SVG, in the page's own colours: intervals beside zero, and every sample by itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from mimicbrush.evaluation.comparison import Comparison, PairedSample
from mimicbrush.reports.html_page import escape, nice_step, svg_figure, svg_text
from mimicbrush.statistics import win

WIDTH = 440
MARGIN = 14
ROW, AXIS, NAMES = 24, 24, 138
"""Height of an editor's row and of the axis below all rows; room for the names beside them."""
MAX_NAME = 20
"""Letters of a name that have room."""
BARS_HEIGHT, BARS_FLOOR, BARS_LEFT = 210, 170, 54
COLOURS = {"better": "#2a9d8f", "worse": "#e76f51", "undecided": "#8d99ae", "equal": "#8d99ae", "": "#3a86ff"}


class Scale(NamedTuple):
    """Values along one axis of a chart."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) * (self.end - self.start) / (self.high - self.low)

    def ticks(self, most: int) -> list[float]:
        """Round numbers within the axis."""
        step = nice_step(self.high - self.low, most)
        return [
            number * step
            for number in range(math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9) + 1)
        ]


def difference_chart(comparisons: Sequence[Comparison], title: str) -> str:
    """One metric: a row an editor, its mean difference to the first editor with the interval; zero is the first.

    The comparisons must have a difference.
    """
    ends = [value for comparison in comparisons for value in comparison.difference[1:3]]
    across = _scale(ends, NAMES, WIDTH - MARGIN)
    floor = ROW * len(comparisons)
    parts = [
        _line(across(tick), 0, across(tick), floor, opacity=0.6 if tick == 0 else 0.15) for tick in across.ticks(5)
    ]
    for number, comparison in enumerate(comparisons):
        mean, low, high, *_ = comparison.difference
        y, colour = ROW * (number + 0.5), COLOURS[comparison.verdict]
        words = f"{comparison.second}: {mean:+.3g} [{low:+.3g}, {high:+.3g}]"
        parts.append(
            f"<g stroke='{colour}' fill='{colour}'><title>{escape(words)}</title>"
            f"<path d='M{across(low):.1f} {y}H{across(high):.1f}' stroke-width='3' stroke-linecap='round'/>"
            f"<circle cx='{across(mean):.1f}' cy='{y}' r='5' stroke='none'/></g>"
        )
        parts.append(svg_text(NAMES - 8, y + 4, _shortened(comparison.second), "end"))
    parts += [svg_text(across(tick), floor + 16, _signed(tick), "middle") for tick in across.ticks(5)]
    return svg_figure(parts, title, WIDTH, floor + AXIS)


def sorted_differences(comparison: Comparison, title: str) -> str:
    """One comparison: a bar a sample, sorted, with the mean and its interval; an infinite one reaches the edge, pale.

    The comparison must have samples.
    """
    samples = sorted(comparison.samples, key=lambda sample: -sample.difference)
    finite = [sample.difference for sample in samples if math.isfinite(sample.difference)]
    interval = comparison.difference
    up = _scale([*finite, *(interval[1:3] if interval else ())], BARS_FLOOR, MARGIN)
    across = Scale(0, len(samples), BARS_LEFT, WIDTH - MARGIN)
    parts = []
    if interval:
        top, bottom = up(interval.high), up(interval.low)
        parts.append(
            f"<rect x='{BARS_LEFT}' y='{top:.1f}' width='{WIDTH - MARGIN - BARS_LEFT}' height='{bottom - top:.1f}' "
            "fill='currentColor' opacity='.12'/>"
        )
    for tick in up.ticks(5):
        parts.append(_line(BARS_LEFT, up(tick), WIDTH - MARGIN, up(tick), opacity=0.6 if tick == 0 else 0.15))
        parts.append(svg_text(BARS_LEFT - 6, up(tick) + 4, _signed(tick), "end"))
    parts += [_bar(sample, comparison, across(number), across(number + 1), up) for number, sample in enumerate(samples)]
    if interval:
        y = up(interval.mean)
        parts.append(_line(BARS_LEFT, y, WIDTH - MARGIN, y, dashes="5 4"))
    words = f"{len(samples)} samples, sorted{'; dashed: mean, shaded: its interval' if interval else ''}"
    words += "; pale: infinite" if len(finite) < len(samples) else ""
    parts.append(svg_text((BARS_LEFT + WIDTH - MARGIN) / 2, BARS_HEIGHT - 14, words, "middle"))
    return svg_figure(parts, title, WIDTH, BARS_HEIGHT)


def verdict_legend(verdicts: Sequence[str]) -> str:
    """What the colours in use mean."""
    marks = "".join(
        f"<span><i style='background:{colour}'></i>{name or 'no direction is better'}</span>"
        for name, colour in COLOURS.items()
        if name in verdicts
    )
    return f"<p class='legend'>{marks}</p>"


def outcome(sample: PairedSample, comparison: Comparison) -> str:
    """better, worse or equal, of one sample; empty where no direction is better."""
    if comparison.better is None:
        return ""
    return {1.0: "better", 0.5: "equal", 0.0: "worse"}[win(sample.first, sample.second, comparison.better)]


def _bar(sample: PairedSample, comparison: Comparison, left: float, right: float, up: Scale) -> str:
    is_finite = math.isfinite(sample.difference)
    value = sample.difference if is_finite else (up.high if sample.difference > 0 else up.low)
    top, bottom = sorted((up(value), up(0)))
    gap = 1 if right - left > 3 else 0
    words = f"{sample.id}, seed {sample.seed}: {sample.first:.4g} → {sample.second:.4g}"
    return (
        f"<rect class='bar' x='{left + gap / 2:.1f}' y='{top:.1f}' width='{right - left - gap:.2f}' "
        f"height='{max(bottom - top, 1):.1f}' fill='{COLOURS[outcome(sample, comparison)]}'"
        f" opacity='{1 if is_finite else 0.4}'><title>{escape(words)}</title></rect>"
    )


def _scale(values: Sequence[float], start: float, end: float) -> Scale:
    """An axis that holds zero and all values, with a little room."""
    low, high = min(0.0, *values) if values else 0.0, max(0.0, *values) if values else 0.0
    if low == high:
        low, high = -1.0, 1.0
    room = 0.06 * (high - low)
    return Scale(low - room, high + room, start, end)


def _line(x1: float, y1: float, x2: float, y2: float, *, opacity: float = 1, dashes: str = "") -> str:
    dashed = f" stroke-dasharray='{dashes}'" if dashes else ""
    return f"<path d='M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}' stroke='currentColor' opacity='{opacity}'{dashed}/>"


def _signed(value: float) -> str:
    return f"{value:+.3g}" if value else "0"


def _shortened(name: str) -> str:
    return name if len(name) <= MAX_NAME else f"{name[: MAX_NAME - 1]}…"
