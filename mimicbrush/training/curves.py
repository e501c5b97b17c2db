"""Pictures of how training goes, drawn from what its CSVs hold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, PercentFormatter, StrMethodFormatter

from mimicbrush.files import whole

LOSSES = {"loss": "whole", "loss_inside": "inside", "loss_outside": "outside", "loss_matching": "matching"}
"""Column -> what training_step calls it."""
BANDS = ("loss_0_249", "loss_250_499", "loss_500_749", "loss_750_999")
"""Columns of the whole loss by timestep, in quarters: the later, the more noise."""

Rows = list[dict[str, float]]

# Okabe and Ito's colours, which the colour-blind can tell apart; bands go from light to dark as noise grows.
BLUE, ORANGE, GREEN, PURPLE, BLACK = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#444444"
GRADED = ("#8fc1e3", "#4a98c9", "#1c6bb0", "#08306b")
SMOOTHED_PART = 1 / 80
"""Of a line: the standard deviation of the weights with which it is smoothed."""


def draw_training(rows: Rows, path: Path) -> None:
    """loss.png: losses, gradient norm, learning rate and speed over steps; lines light as recorded, bold smoothed."""
    figure = Figure(figsize=(13.5, 7), dpi=120, layout="constrained")
    (loss, bands, gradient), (rate, speed, time) = figure.subplots(2, 3, sharex=True)
    names = ("whole latent", "inside the mask", "outside the mask", "matching (nats)")
    _lines(loss, rows, LOSSES, names, (BLACK, ORANGE, BLUE, GREEN))
    # Few lines have it: only these are joined.
    judged = [row for row in rows if not math.isnan(row.get("heldout_loss", math.nan))]
    if judged:
        _lines(loss, judged, ["heldout_loss"], ["held-out, whole latent"], [PURPLE], smooth=False)
    _bad_steps(loss, rows)
    _lines(bands, rows, BANDS, [name.removeprefix("loss_").replace("_", "–") for name in BANDS], GRADED)
    _lines(gradient, rows, ["grad_norm"], [None], [BLUE])
    _lines(rate, rows, ["learning_rate"], [None], [BLUE], smooth=False)
    _lines(speed, rows, ["images_per_second"], [None], [BLUE])
    _lines(time, rows, ["waiting_share", "mfu"], ["waiting for data", "MFU"], [ORANGE, BLUE])
    for axes in (loss, bands, gradient):
        _logarithmic(axes)
    for axes in (rate, speed, time):
        axes.set_xlabel("step")
        axes.set_ylim(0, 1.1 * axes.dataLim.y1 if axes.dataLim.y1 > 0 else 1)
    time.set_ylim(0, max(0.1, time.get_ylim()[1]))
    time.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    rate.yaxis.set_major_formatter(StrMethodFormatter("{x:.2g}"))
    memory = max((row.get("memory_gib", math.nan) for row in rows), default=math.nan)
    _name(loss, "Loss", "mean squared error")
    _name(bands, "Loss by timestep", "mean squared error")
    _name(gradient, "Gradient norm, before clipping")
    _name(rate, "Learning rate")
    _name(speed, "Speed" if math.isnan(memory) else f"Speed, at {memory:.1f} GiB", "images / s")
    _name(time, "Use of time")
    _save(figure, path)


def draw_reference_use(rows: Rows, path: Path) -> None:
    """reference_use.png: how often the right reference beats a wrong one, over steps."""
    figure = Figure(figsize=(7, 4.2), dpi=120, layout="constrained")
    axes = figure.subplots()
    steps = [row["step"] for row in rows]
    names = [name for name in rows[-1] if name != "step"]
    for name, colour in zip(names, (BLACK, BLUE, "#56B4E9", ORANGE, GREEN), strict=False):
        axes.plot(steps, [row.get(name, math.nan) for row in rows], ".-", color=colour, label=name, linewidth=1.6)
    axes.axhline(0.5, color="grey", linewidth=1, linestyle=":")
    axes.text(1, 0.495, "chance", transform=axes.get_yaxis_transform(), ha="right", va="top", color="grey", fontsize=8)
    axes.set_ylim(min(0.4, axes.get_ylim()[0]), 1.01)
    axes.set_xlabel("step")
    axes.legend(frameon=False, fontsize=8)
    _name(axes, "Reference use on held-out pairs", "the right reference wins")
    _save(figure, path)


def smoothed(values: Sequence[float]) -> np.ndarray:
    """Weighted means over neighbours on both sides, so that the line does not lag; NaN is passed over."""
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
    """A line for each column that holds anything."""
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
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=8)


def _bad_steps(axes: Axes, rows: Rows) -> None:
    """A mark at the foot wherever steps were left out."""
    counts = [0.0, *(row.get("bad_steps", 0.0) for row in rows)]
    marked = [row["step"] for row, before, after in zip(rows, counts, counts[1:], strict=False) if after > before]
    if marked:
        foot = axes.get_xaxis_transform()
        axes.plot(marked, [0.02] * len(marked), "^", color="red", markersize=5, transform=foot, label="steps left out")
        axes.legend(frameon=False, fontsize=8)


def _logarithmic(axes: Axes) -> None:
    """Where the lines span several times their lowest value."""
    low, high = axes.dataLim.intervaly
    if low > 0 and high > 5 * low:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())


def _name(axes: Axes, title: str, unit: str = "") -> None:
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold")
    axes.set_ylabel(unit)
    axes.tick_params(labelsize=8)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.grid(alpha=0.25, which="both", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def _save(figure: Figure, path: Path) -> None:
    with whole(path) as partial:
        figure.savefig(partial)
