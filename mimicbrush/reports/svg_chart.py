"""Charts as SVG for HTML pages: sharp at any size, right in light and dark, with hints under the pointer."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from mimicbrush.reports.colours import CATEGORIES
from mimicbrush.reports.html_page import escape

WIDTH = 440
"""SVG units across a chart, about as many CSS pixels in two columns."""
GRID_OPACITY, ZERO_OPACITY = 0.15, 0.6
LABEL_GAP, LABEL_DROP = 6, 17
"""Units between an axis and its numbers: beside it, and from it down to their baseline."""


class Scale(NamedTuple):
    """Map values from `low` to `high` onto SVG units from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) * (self.end - self.start) / (self.high - self.low)

    def ticks(self, most: int, *, min_step: float = 0) -> list[float]:
        """Round numbers within the axis, `most` intervals of them at most."""
        step = max(min_step, nice_step(self.high - self.low, most))
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [number * step for number in range(first, last + 1)]


def nice_step(extent: float, most: int) -> float:
    """1, 2 or 5 times a power of ten, of which at most `most` fit into the extent."""
    magnitude = 10.0 ** math.floor(math.log10(extent / most))
    return next(factor * magnitude for factor in (1, 2, 5, 10) if extent <= most * factor * magnitude * (1 + 1e-9))


def chart(elements: Sequence[str], *, title: str, height: float) -> str:
    """A figure of SVG elements, WIDTH x height units, with its title above."""
    label = escape(title)
    return (
        f"<figure class='chart'><figcaption>{label}</figcaption>"
        f"<svg viewBox='0 0 {WIDTH} {height}' role='img' aria-label='{label}'>{''.join(elements)}</svg></figure>"
    )


def text(x: float, y: float, words: str, anchor: str) -> str:
    """Words in the page's own colour; anchor: start, middle or end."""
    return (
        f"<text x='{x:.1f}' y='{y:.1f}' font-size='12' text-anchor='{anchor}' fill='currentColor'>{escape(words)}"
        "</text>"
    )


def line(x1: float, y1: float, x2: float, y2: float, *, opacity: float = 1, dashes: str = "") -> str:
    """A straight line in the page's own colour."""
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
    hint: str = "",
    classes: str = "",
) -> str:
    """A filled rectangle; hint: shown under the pointer; classes: of CSS."""
    named = f" class='{classes}'" if classes else ""
    faded = f" opacity='{opacity:g}'" if opacity != 1 else ""
    shown = f"><title>{escape(hint)}</title></rect>" if hint else "/>"
    return (
        f"<rect{named} x='{left:.1f}' y='{top:.1f}' width='{width:.2f}' height='{height:.1f}' "
        f"fill='{colour}'{faded}{shown}"
    )


def vertical_axis(
    up: Scale,
    left: float,
    right: float,
    *,
    label: Callable[[float], str] = "{:g}".format,
    most: int = 5,
    min_step: float = 0,
) -> list[str]:
    """A line from `left` to `right` at each round value, zero's stronger, with its number on the left."""
    elements = []
    for tick in up.ticks(most, min_step=min_step):
        elements.append(line(left, up(tick), right, up(tick), opacity=_opacity(tick)))
        elements.append(text(left - LABEL_GAP, up(tick) + 4, label(tick), "end"))
    return elements


def horizontal_axis(
    across: Scale,
    floor: float,
    *,
    label: Callable[[float], str] = "{:g}".format,
    most: int = 5,
    lines_from: float | None = None,
) -> list[str]:
    """The number of each round value below `floor`; lines_from: where a line to each comes down from, if any."""
    ticks = across.ticks(most)
    elements = [text(across(tick), floor + LABEL_DROP, label(tick), "middle") for tick in ticks]
    if lines_from is not None:
        elements += [line(across(tick), lines_from, across(tick), floor, opacity=_opacity(tick)) for tick in ticks]
    return elements


def legend(colours: Mapping[str, str]) -> str:
    """The meaning of the colours, a paragraph: meaning -> colour."""
    marks = "".join(
        f"<span><i style='background:{colour}'></i>{escape(meaning)}</span>" for meaning, colour in colours.items()
    )
    return f"<p class='legend'>{marks}</p>"


def stacked_bar(amounts: Mapping[str, float], unit: str) -> str:
    """One bar of shares, with a legend that names each with its amount and share."""
    total, start = sum(amounts.values()), 0.0
    parts, meanings = [], {}
    for number, (name, amount) in enumerate(amounts.items()):
        colour, share = CATEGORIES[number % len(CATEGORIES)], amount / total
        words = f"{name} {amount:.1f} {unit}, {100 * share:.0f} %"
        parts.append(rectangle(1000 * start, 0, 1000 * share, 20, colour=colour, hint=words, classes="share"))
        meanings[words] = colour
        start += share
    return (
        "<svg class='shares' viewBox='0 0 1000 20' preserveAspectRatio='none' role='img' aria-label='shares'>"
        f"{''.join(parts)}</svg>{legend(meanings)}"
    )


def _opacity(tick: float) -> float:
    return ZERO_OPACITY if tick == 0 else GRID_OPACITY
