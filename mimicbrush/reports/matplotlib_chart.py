"""Charts as PNG files, drawn by matplotlib in one style.

`new_charts` makes empty axes; the caller draws on them, and calls `finish_chart` for each and `save_chart` once.
Importing matplotlib takes half a second, so it is imported when a chart is drawn.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mimicbrush.files import whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 120
POINTS_PER_INCH = 72
SMALL_FONT, TITLE_FONT = 8, 11
"""Font sizes of ticks and legends, and of titles, in points."""
TITLE_GAP = 6
"""Points between a title and the legend or chart below it."""
LABEL_ROOM = 0.6
"""Inches beside a chart for the numbers and the label of its vertical axis."""


def new_charts(
    rows: int = 1, columns: int = 1, *, size: tuple[float, float], share_x: bool = False, share_y: bool = False
) -> tuple[Figure, list[Axes]]:
    """Make a figure with rows x columns empty charts, listed row by row. size: width and height in inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, dpi=DPI, layout="constrained")
    return figure, list(figure.subplots(rows, columns, sharex=share_x, sharey=share_y, squeeze=False).flat)


def finish_chart(
    axes: Axes, title: str, *, x_label: str = "", y_label: str = "", grid: Literal["both", "x", "y"] = "both"
) -> None:
    """Add the title, the labels, the grid and a legend of everything drawn with a label; call it last."""
    _set_title(axes, title)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.tick_params(labelsize=SMALL_FONT)
    axes.grid(axis=grid, which="both", alpha=0.25, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    _add_legend(axes)


def set_log_scale(axes: Axes) -> None:
    """Make the vertical axis logarithmic if the largest value is more than five times the smallest."""
    from matplotlib.ticker import LogLocator, NullFormatter

    low, high = axes.dataLim.intervaly
    if low > 0 and high > 5 * low:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())


def set_whole_ticks(axes: Axes) -> None:
    """Place ticks of the horizontal axis at whole numbers."""
    from matplotlib.ticker import MaxNLocator

    # At least two ticks, the default, would put fractions beside the step of a single record.
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))


def save_chart(figure: Figure, path: Path) -> None:
    """Write the figure to a file, atomically."""
    _raise_titles(figure)
    with whole(path) as partial:
        figure.savefig(partial)


def _add_legend(axes: Axes) -> None:
    """Put the legend between chart and title, where it hides nothing, in as few and as equal rows as possible."""
    num_entries = len(axes.get_legend_handles_labels()[0])
    room = axes.figure.get_figwidth() / axes.get_subplotspec().get_gridspec().ncols - LABEL_ROOM
    for num_rows in range(1, num_entries + 1):
        legend = axes.legend(
            loc="lower left",
            bbox_to_anchor=(0, 1),
            ncols=math.ceil(num_entries / num_rows),
            frameon=False,
            fontsize=SMALL_FONT,
            borderaxespad=0,
            borderpad=0.2,
            handlelength=1.4,
            columnspacing=1.2,
        )
        if legend.get_window_extent().width <= room * axes.figure.dpi:
            return


def _raise_titles(figure: Figure) -> None:
    """Place the titles above the legends, at the same height within each row of charts."""
    rows: dict[int, list[Axes]] = {}
    for axes in figure.axes:
        rows.setdefault(axes.get_subplotspec().rowspan.start, []).append(axes)
    for row in rows.values():
        heights = [legend.get_window_extent().height for axes in row if (legend := axes.get_legend())]
        pad = max(heights, default=0) * POINTS_PER_INCH / figure.dpi + TITLE_GAP
        for axes in row:
            _set_title(axes, axes.get_title(loc="left"), pad=pad)


def _set_title(axes: Axes, title: str, *, pad: float = TITLE_GAP) -> None:
    axes.set_title(title, loc="left", fontsize=TITLE_FONT, fontweight="bold", pad=pad)
