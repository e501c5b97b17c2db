"""Draw progress.png: the matching loss, PSNR, and the judge's verdict over steps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mimicbrush.reports.colours import BLUE, VERMILION
from mimicbrush.reports.matplotlib_chart import finish_chart, new_charts, save_chart, set_whole_ticks
from mimicbrush.training.curves import smoothed

GATE_NATS, GATE_SHARE = 1.5, 0.5
"""Matching loss, and share of the judge for same-object references, that a recipe has to reach."""
KINDS = {"same": ("reference of the same object", BLUE), "other": ("of another object", VERMILION)}


def draw_progress(matching: Sequence[dict[str, float]], measured: Sequence[dict[str, float]], path: Path) -> None:
    """Draw three charts; matching: rows of the runs' metrics.csv; measured: rows of progress.csv, both by step."""
    figure, (nats, psnr, judge) = new_charts(1, 3, size=(13.5, 4), share_x=True)
    steps = [row["step"] for row in matching]
    losses = [row["loss_matching"] for row in matching]
    nats.plot(steps, losses, color=BLUE, linewidth=0.8, alpha=0.3)
    nats.plot(steps, smoothed(losses), color=BLUE, linewidth=1.8)
    nats.axhline(GATE_NATS, color="grey", linewidth=1, linestyle=":")
    for kind, (label, colour) in KINDS.items():
        at = [row["step"] for row in measured]
        psnr.plot(at, [row[f"psnr_{kind}"] for row in measured], ".-", color=colour, label=label)
        judge.plot(at, [row[f"judge_{kind}"] for row in measured], ".-", color=colour, label=label)
    judge.axhline(GATE_SHARE, color="grey", linewidth=1, linestyle=":")
    judge.set_ylim(0, 1)
    judge.yaxis.set_major_formatter("{x:.0%}")
    nats.set_ylim(bottom=0)
    set_whole_ticks(nats)
    finish_chart(nats, "Matching loss in training", x_label="step", y_label="nats")
    finish_chart(psnr, "PSNR in the mask", x_label="step", y_label="dB")
    finish_chart(judge, "Judge names the true material", x_label="step")
    save_chart(figure, path)
