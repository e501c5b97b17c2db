"""Charts as SVG for HTML pages: sharp at any size, readable in light and dark, with tooltips.

A chart is a list of SVG elements. `Scale` maps values to positions, `vertical_axis` and `horizontal_axis` draw the
ticks of a scale, and `chart` wraps all elements into a figure. Positions are in SVG units, with y pointing down.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from mimicbrush.reports.colours import CATEGORIES
from mimicbrush.reports.html_page import escape

WIDTH = 440
"""Width of a chart in SVG units, about as many CSS pixels on a page of two columns."""
GRID_OPACITY, ZERO_OPACITY = 0.15, 0.6
"""Opacity of a grid line, and of the line at zero."""
LABEL_GAP, LABEL_DROP = 6, 17
"""Distance from the grid to the numbers of a vertical axis, and to the baseline of those of a horizontal axis."""


class Scale(NamedTuple):
    """A linear map from values between `low` and `high` to positions between `start` and `end`."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) * (self.end - self.start) / (self.high - self.low)

    def ticks(self, max_intervals: int, *, min_step: float = 0) -> list[float]:
        """Round values between `low` and `high`, with at most `max_intervals` intervals between them."""
        step = max(min_step, nice_step(self.high - self.low, max_intervals))
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [number * step for number in range(first, last + 1)]


def nice_step(extent: float, max_intervals: int) -> float:
    """Smallest 1, 2 or 5 times a power of ten that divides an extent into at most `max_intervals` steps."""
    least = extent / max_intervals
    magnitude = 10.0 ** math.floor(math.log10(least))
    return next(factor * magnitude for factor in (1, 2, 5, 10) if least <= factor * magnitude * (1 + 1e-9))


def chart(elements: Sequence[str], *, title: str, height: float) -> str:
    """A figure of SVG elements, WIDTH x height units, with a title above."""
    label = escape(title)
    return (
        f"<figure class='chart'><figcaption>{label}</figcaption>"
        f"<svg viewBox='0 0 {WIDTH} {height}' role='img' aria-label='{label}'>{''.join(elements)}</svg></figure>"
    )


def text(x: float, y: float, words: str, anchor: str) -> str:
    """Text in the page's text colour. anchor: part of the text at x, one of start, middle, end."""
    return (
        f"<text x='{x:.1f}' y='{y:.1f}' font-size='12' text-anchor='{anchor}' fill='currentColor'>{escape(words)}"
        "</text>"
    )


def line(x1: float, y1: float, x2: float, y2: float, *, opacity: float = 1, dashes: str = "") -> str:
    """A straight line in the page's text colour. dashes: lengths of dashes and gaps, such as `5 4`."""
    dashed = f" stroke-dasharray='{dashes}'" if dashes else ""
    return f"<path d='M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}' stroke='currentColor' opacity='{opacity}'{dashed}/>"


def rectangle(
    left: float,
    top: float,
    width: float,
    height: float,
    *,
    colour: str,
    opacity: float = 1,
    tooltip: str = "",
    classes: str = "",
) -> str:
    """A filled rectangle. tooltip: text shown under the pointer; classes: CSS classes."""
    named = f" class='{classes}'" if classes else ""
    faded = f" opacity='{opacity:g}'" if opacity != 1 else ""
    shown = f"><title>{escape(tooltip)}</title></rect>" if tooltip else "/>"
    return (
        f"<rect{named} x='{left:.1f}' y='{top:.1f}' width='{width:.2f}' height='{height:.1f}' "
        f"fill='{colour}'{faded}{shown}"
    )


def vertical_axis(
    scale: Scale,
    left: float,
    right: float,
    *,
    label: Callable[[float], str] = "{:g}".format,
    max_intervals: int = 5,
    min_step: float = 0,
) -> list[str]:
    """A grid line from `left` to `right` at each tick, with its number on the left."""
    elements = []
    for tick in scale.ticks(max_intervals, min_step=min_step):
        y = scale(tick)
        elements.append(line(left, y, right, y, opacity=_opacity(tick)))
        elements.append(text(left - LABEL_GAP, y + 4, label(tick), "end"))
    return elements


def horizontal_axis(
    scale: Scale,
    bottom: float,
    *,
    label: Callable[[float], str] = "{:g}".format,
    max_intervals: int = 5,
    grid_top: float | None = None,
) -> list[str]:
    """The number of each tick below `bottom`; grid_top: upper end of a grid line at each tick, None for no lines."""
    elements = []
    for tick in scale.ticks(max_intervals):
        x = scale(tick)
        elements.append(text(x, bottom + LABEL_DROP, label(tick), "middle"))
        if grid_top is not None:
            elements.append(line(x, grid_top, x, bottom, opacity=_opacity(tick)))
    return elements


def legend(colours: Mapping[str, str]) -> str:
    """A paragraph that explains colours. colours: {meaning: colour}."""
    marks = "".join(
        f"<span><i style='background:{colour}'></i>{escape(meaning)}</span>" for meaning, colour in colours.items()
    )
    return f"<p class='legend'>{marks}</p>"


def stacked_bar(amounts: Mapping[str, float], unit: str) -> str:
    """One bar divided by amounts, with a legend of their names, amounts and shares."""
    total, start = sum(amounts.values()), 0.0
    parts, meanings = [], {}
    for number, (name, amount) in enumerate(amounts.items()):
        colour, share = CATEGORIES[number % len(CATEGORIES)], amount / total
        words = f"{name} {amount:.1f} {unit}, {100 * share:.0f} %"
        parts.append(rectangle(1000 * start, 0, 1000 * share, 20, colour=colour, tooltip=words, classes="share"))
        meanings[words] = colour
        start += share
    return (
        "<svg class='shares' viewBox='0 0 1000 20' preserveAspectRatio='none' role='img' aria-label='shares'>"
        f"{''.join(parts)}</svg>{legend(meanings)}"
    )


def _opacity(tick: float) -> float:
    return ZERO_OPACITY if tick == 0 else GRID_OPACITY
