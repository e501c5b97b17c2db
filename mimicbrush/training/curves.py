"""Draw charts of a run from its CSV files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mimicbrush.reports.colours import BLUE, GRADED_BLUES, GREEN, PURPLE, SKY_BLUE, VERMILION
from mimicbrush.reports.matplotlib_chart import finish_chart, new_charts, save_chart, set_log_scale, set_whole_ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOSSES = {"loss": "whole", "loss_inside": "inside", "loss_outside": "outside", "loss_matching": "matching"}
"""Column -> its name in the output of training_step."""
BANDS = ("loss_0_249", "loss_250_499", "loss_500_749", "loss_750_999")
"""Columns of the whole loss by quarter of the timesteps; later ones have more noise."""

Rows = list[dict[str, float]]

DARK = "#444444"
"""Colour of the most important line."""
SMOOTHED_PART = 1 / 80
"""Standard deviation of the weights that smooth a line, as a share of its length."""


def draw_training(rows: Rows, path: Path) -> None:
    """Draw loss.png: losses, gradient norm, learning rate and speed over steps."""
    save_chart(training_figure(rows), path)


def training_figure(rows: Rows) -> Figure:
    """Draw losses, gradient norm, learning rate and speed; thin lines as recorded, bold lines smoothed."""
    figure, (loss, bands, gradient, rate, speed, time) = new_charts(2, 3, size=(13.5, 7.4), share_x=True)
    names = ("whole latent", "inside the mask", "outside the mask", "matching (nats)")
    _lines(loss, rows, LOSSES, names, (DARK, VERMILION, BLUE, GREEN))
    # Few rows have a held-out loss; a line joins these alone.
    measured = [row for row in rows if not math.isnan(row.get("heldout_loss", math.nan))]
    if measured:
        _lines(loss, measured, ["heldout_loss"], ["held-out, whole latent"], [PURPLE], smooth=False)
    _bad_steps(loss, rows)
    _lines(bands, rows, BANDS, [name.removeprefix("loss_").replace("_", "–") for name in BANDS], GRADED_BLUES)
    _lines(gradient, rows, ["grad_norm"], [None], [BLUE])
    _lines(rate, rows, ["learning_rate"], [None], [BLUE], smooth=False)
    _lines(speed, rows, ["images_per_second"], [None], [BLUE])
    _lines(time, rows, ["waiting_share", "mfu"], ["waiting for data", "MFU"], [VERMILION, BLUE])
    for axes in (loss, bands, gradient):
        set_log_scale(axes)
    for axes in (rate, speed, time):
        axes.set_ylim(0, 1.1 * axes.dataLim.y1 if axes.dataLim.y1 > 0 else 1)
    time.set_ylim(0, max(0.1, time.get_ylim()[1]))
    time.yaxis.set_major_formatter("{x:.0%}")
    rate.yaxis.set_major_formatter("{x:.2g}")
    set_whole_ticks(loss)
    memory = max((row.get("memory_gib", math.nan) for row in rows), default=math.nan)
    finish_chart(loss, "Loss", y_label="mean squared error")
    finish_chart(bands, "Loss by timestep", y_label="mean squared error")
    finish_chart(gradient, "Gradient norm, before clipping")
    finish_chart(rate, "Learning rate", x_label="step")
    at_memory = "" if math.isnan(memory) else f", at {memory:.1f} GiB"
    finish_chart(speed, f"Speed{at_memory}", x_label="step", y_label="images / s")
    finish_chart(time, "Use of time", x_label="step")
    return figure


def draw_reference_use(rows: Rows, path: Path) -> None:
    """Draw reference_use.png: how often the right reference beats a wrong one, over steps."""
    figure, (axes,) = new_charts(size=(7, 4.2))
    steps = [row["step"] for row in rows]
    names = [name for name in rows[-1] if name != "step"]
    for name, colour in zip(names, (DARK, BLUE, SKY_BLUE, VERMILION, GREEN), strict=False):
        axes.plot(steps, [row.get(name, math.nan) for row in rows], ".-", color=colour, label=name, linewidth=1.6)
    axes.axhline(0.5, color="grey", linewidth=1, linestyle=":")
    axes.text(1, 0.495, "chance", transform=axes.get_yaxis_transform(), ha="right", va="top", color="grey", fontsize=8)
    axes.set_ylim(min(0.4, axes.get_ylim()[0]), 1.01)
    set_whole_ticks(axes)
    finish_chart(axes, "Reference use on held-out pairs", x_label="step", y_label="the right reference wins")
    save_chart(figure, path)


def smoothed(values: Sequence[float]) -> np.ndarray:
    """Smooth by Gaussian weights over neighbours on both sides, so that the line does not lag; NaN is ignored."""
    deviation = len(values) * SMOOTHED_PART
    reach = min(math.ceil(3 * deviation), len(values) - 1)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    known = ~np.isnan(values)
    total, weight = (np.convolve(each, kernel)[reach : -reach or None] for each in (np.nan_to_num(values), known * 1.0))
    return np.divide(total, weight, out=np.full(len(values), math.nan), where=weight > 0)


def _lines(
    axes: Axes,
    rows: Rows,
    columns: Sequence[str],
    labels: Sequence[str | None],
    colours: Sequence[str],
    *,
    smooth: bool = True,
) -> None:
    """Draw a line for each column that has any value."""
    steps, marker = [row["step"] for row in rows], "o" if len(rows) == 1 else None
    for column, label, colour in zip(columns, labels, colours, strict=True):
        values = [row.get(column, math.nan) for row in rows]
        if all(map(math.isnan, values)):
            continue
        if smooth:
            axes.plot(steps, values, color=colour, linewidth=0.8, alpha=0.3)
        axes.plot(
            steps, smoothed(values) if smooth else values, color=colour, linewidth=1.8, label=label, marker=marker
        )


def _bad_steps(axes: Axes, rows: Rows) -> None:
    """Mark at the bottom where steps were skipped."""
    counts = [0.0, *(row.get("bad_steps", 0.0) for row in rows)]
    marked = [row["step"] for row, before, after in zip(rows, counts, counts[1:], strict=False) if after > before]
    if marked:
        foot = axes.get_xaxis_transform()
        axes.plot(marked, [0.02] * len(marked), "^", color="red", markersize=5, transform=foot, label="steps skipped")
