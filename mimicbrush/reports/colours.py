"""Colours of charts: Okabe and Ito's palette, which colour-blind people can tell apart."""

from __future__ import annotations

BLUE = "#0072B2"
VERMILION = "#D55E00"
GREEN = "#009E73"
PURPLE = "#CC79A7"
SKY_BLUE = "#56B4E9"
ORANGE = "#E69F00"
GREY = "#8D99AE"
"""A colour of what is undecided or left over, visible on light and dark pages."""

CATEGORIES = (BLUE, ORANGE, GREEN, PURPLE, VERMILION, SKY_BLUE, GREY)
"""In the order in which a chart takes them."""
GRADED_BLUES = ("#8fc1e3", "#4a98c9", "#1c6bb0", "#08306b")
"""Colours of ordered categories, from little to much."""
STACKED = (
    "#1f77b4",
    "#aec7e8",
    "#ff7f0e",
    "#ffbb78",
    "#2ca02c",
    "#98df8a",
    "#d62728",
    "#ff9896",
    "#9467bd",
    "#c5b0d5",
)
"""Colours of up to ten parts of a bar, where neighbours must differ: the start of matplotlib's tab20."""
