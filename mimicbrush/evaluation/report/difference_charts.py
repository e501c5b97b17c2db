"""Charts of paired differences: a mean with its interval for each editor, and a bar for each sample."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mimicbrush.evaluation.paired_comparison import PairedComparison, PairedSample
from mimicbrush.reports.colours import BLUE, GREEN, GREY, VERMILION
from mimicbrush.reports.html_page import escape
from mimicbrush.reports.svg_chart import (
    WIDTH,
    Scale,
    chart,
    horizontal_axis,
    legend,
    line,
    rectangle,
    text,
    vertical_axis,
)
from mimicbrush.statistics import win

MARGIN = 14
ROW, AXIS, NAMES = 24, 24, 206
"""Height of an editor's row, height of the axis below all rows, and width of the editors' names."""
AXIS_INTERVALS, WIDE_LABEL = 5, 6
"""Largest number of intervals of an axis, and the number of letters from which labels need twice the space."""
MAX_NAME = 30
"""Number of letters of a name that fit beside a chart."""
BARS_HEIGHT, BARS_FLOOR, BARS_LEFT = 210, 170, 54
COLOURS = {"better": GREEN, "worse": VERMILION, "undecided": GREY, "equal": GREY, "": BLUE}


def difference_chart(comparisons: Sequence[PairedComparison], title: str) -> str:
    """Draw one metric: for each editor, its mean difference to the first editor, at zero, with the interval.

    Every comparison must have a difference.
    """
    ends = [value for comparison in comparisons for value in comparison.difference[1:3]]
    across = _scale(ends, NAMES, WIDTH - MARGIN)
    floor = ROW * len(comparisons)
    is_wide = max(len(_signed(value)) for value in across.ticks(AXIS_INTERVALS)) > WIDE_LABEL
    max_intervals = AXIS_INTERVALS // 2 if is_wide else AXIS_INTERVALS
    elements = horizontal_axis(across, floor, label=_signed, grid_top=0, max_intervals=max_intervals)
    for number, comparison in enumerate(comparisons):
        mean, low, high, *_ = comparison.difference
        y, colour = ROW * (number + 0.5), COLOURS[comparison.verdict]
        words = f"{comparison.second}: {mean:+.3g} [{low:+.3g}, {high:+.3g}]"
        elements.append(
            f"<g stroke='{colour}' fill='{colour}'><title>{escape(words)}</title>"
            f"<path d='M{across(low):.1f} {y}H{across(high):.1f}' stroke-width='3' stroke-linecap='round'/>"
            f"<circle cx='{across(mean):.1f}' cy='{y}' r='5' stroke='none'/></g>"
        )
        elements.append(text(NAMES - 8, y + 4, _shortened(comparison.second), "end"))
    return chart(elements, title=title, height=floor + AXIS)


def sorted_differences(comparison: PairedComparison, title: str) -> str:
    """Draw one comparison: a bar for each sample, sorted, with the mean and its interval.

    Infinite differences are pale bars that reach the edge. The comparison must have samples.
    """
    samples = sorted(comparison.samples, key=lambda sample: -sample.difference)
    finite = [sample.difference for sample in samples if math.isfinite(sample.difference)]
    interval = comparison.difference
    left, right = BARS_LEFT, WIDTH - MARGIN
    up = _scale([*finite, *(interval[1:3] if interval else ())], BARS_FLOOR, MARGIN)
    across = Scale(0, len(samples), left, right)
    elements = []
    if interval:
        top, bottom = up(interval.high), up(interval.low)
        elements.append(rectangle(left, top, right - left, bottom - top, colour="currentColor", opacity=0.12))
    elements += vertical_axis(up, left, right, label=_signed)
    elements += [
        _bar(sample, comparison, across(number), across(number + 1), up) for number, sample in enumerate(samples)
    ]
    if interval:
        elements.append(line(left, up(interval.mean), right, up(interval.mean), dashes="5 4"))
    words = f"{len(samples)} samples, sorted{'; dashed: mean, shaded: its interval' if interval else ''}"
    words += "; pale: infinite" if len(finite) < len(samples) else ""
    elements.append(text((left + right) / 2, BARS_HEIGHT - 14, words, "middle"))
    return chart(elements, title=title, height=BARS_HEIGHT)


def verdict_legend(verdicts: Sequence[str]) -> str:
    """Explain the colours in use."""
    return legend({name or "no direction is better": COLOURS[name] for name in COLOURS if name in verdicts})


def outcome(sample: PairedSample, comparison: PairedComparison) -> str:
    """Verdict on one sample, `better`, `worse` or `equal`; empty if no direction is better."""
    if comparison.better is None:
        return ""
    return {1.0: "better", 0.5: "equal", 0.0: "worse"}[win(sample.first, sample.second, comparison.better)]


def _bar(sample: PairedSample, comparison: PairedComparison, left: float, right: float, up: Scale) -> str:
    is_finite = math.isfinite(sample.difference)
    value = sample.difference if is_finite else (up.high if sample.difference > 0 else up.low)
    top, bottom = sorted((up(value), up(0)))
    gap = 1 if right - left > 3 else 0
    words = f"{sample.id}, seed {sample.seed}: {sample.first:.4g} → {sample.second:.4g}"
    return rectangle(
        left + gap / 2,
        top,
        right - left - gap,
        max(bottom - top, 1),
        colour=COLOURS[outcome(sample, comparison)],
        opacity=1 if is_finite else 0.4,
        tooltip=words,
        classes="bar",
    )


def _scale(values: Sequence[float], start: float, end: float) -> Scale:
    """Make an axis that includes zero and all values, with a margin."""
    low, high = min(0.0, *values) if values else 0.0, max(0.0, *values) if values else 0.0
    if low == high:
        low, high = -1.0, 1.0
    room = 0.06 * (high - low)
    return Scale(low - room, high + room, start, end)


def _signed(value: float) -> str:
    return f"{value:+.3g}" if value else "0"


def _shortened(name: str) -> str:
    return name if len(name) <= MAX_NAME else f"{name[: MAX_NAME - 1]}…"
