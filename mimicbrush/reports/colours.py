"""Colours of charts: the palette of Okabe and Ito, which colour-blind people can distinguish."""

from __future__ import annotations

BLUE = "#0072B2"
VERMILION = "#D55E00"
GREEN = "#009E73"
PURPLE = "#CC79A7"
SKY_BLUE = "#56B4E9"
ORANGE = "#E69F00"
GREY = "#8D99AE"
"""Colour of undecided or remaining items, visible on light and dark pages."""

CATEGORIES = (BLUE, ORANGE, GREEN, PURPLE, VERMILION, SKY_BLUE, GREY)
"""Colours of categories, in the order in which a chart uses them."""
GRADED_BLUES = ("#8fc1e3", "#4a98c9", "#1c6bb0", "#08306b")
"""Colours of ordered categories, from low to high."""
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
"""Colours of up to ten parts of a bar, in which neighbours differ: the beginning of matplotlib's tab20."""
