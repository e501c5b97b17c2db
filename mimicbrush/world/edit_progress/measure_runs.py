"""Measure the kept checkpoints of runs that follow one another, by edits whose true results are known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from mimicbrush.editors.mimicbrush import MimicBrushEditor
from mimicbrush.errors import UserError
from mimicbrush.folder_lock import held
from mimicbrush.hub.locations import local_folder
from mimicbrush.pictures.writing import write_image
from mimicbrush.run_folder import claim
from mimicbrush.training.records import append_record, read_records
from mimicbrush.world.edit_progress.config import EditProgressConfig
from mimicbrush.world.edit_progress.heldout_edits import draw_heldout_edits, edit_all, figures_of, sheet_of
from mimicbrush.world.edit_progress.progress_chart import draw_progress

CSV, CHART = "progress.csv", "progress.png"
JUDGE = "asset:judge"


class KeptCheckpoint(NamedTuple):
    """A checkpoint, and the steps of all runs up to it together."""

    path: Path
    step: int


def measure_runs(config: EditProgressConfig) -> str:
    """Measure the checkpoints that progress.csv lacks, one after the other, and draw the chart."""
    runs = [run for run in config.runs if (run / "metrics.csv").is_file()]
    checkpoints = list_checkpoints(runs)
    if not checkpoints:
        raise UserError(
            f"{', '.join(map(str, config.runs))}: no checkpoints/step-*.ckpt; train with run.keep_checkpoint_every"
        )
    with held(config.output):
        claim(config.output, config)
        path = config.output / CSV
        measured = {row["step"] for row in read_records(path)}
        left = [each for each in checkpoints if each.step not in measured]
        edits = draw_heldout_edits(config.num_sources, seed=config.seed) if left else []
        for checkpoint in left:
            editor = MimicBrushEditor(
                checkpoint.path,
                num_inference_steps=config.num_inference_steps,
                guidance_scale=config.guidance_scale,
                device="cpu",
            )
            edited = edit_all(editor, edits, seed=config.seed)
            figures = figures_of(edits, edited, judge_folder=local_folder(JUDGE))
            append_record({"step": checkpoint.step, **figures}, path)
            write_image(sheet_of(edits, edited), config.output / f"edits-{checkpoint.step:06d}.png")
            print(f"step {checkpoint.step}: " + ", ".join(f"{name} {value:.3g}" for name, value in figures.items()))
        rows = sorted(read_records(path), key=lambda row: row["step"])
        draw_progress(matching_curve(runs), rows, config.output / CHART)
    return f"{len(left)} checkpoints measured, {len(rows)} in all -> {path}, {config.output / CHART}"


def list_checkpoints(runs: Sequence[Path]) -> list[KeptCheckpoint]:
    """List kept checkpoints in the order of their steps, counted over all runs."""
    found = []
    for run, before in zip(runs, _steps_before(runs), strict=True):
        for path in sorted((run / "checkpoints").glob("step-*.ckpt")):
            found.append(KeptCheckpoint(path, before + int(path.stem.removeprefix("step-"))))
    return found


def matching_curve(runs: Sequence[Path]) -> list[dict[str, float]]:
    """Rows of all runs with the step counted over all runs, the matching loss in nats, and the loss in the mask."""
    rows = []
    for run, before in zip(runs, _steps_before(runs), strict=True):
        for row in read_records(run / "metrics.csv"):
            rows.append({name: row.get(name, math.nan) for name in ("loss_matching", "loss_inside")})
            rows[-1]["step"] = before + row["step"]
    return rows


def _steps_before(runs: Sequence[Path]) -> list[int]:
    lengths = [int(max(row["step"] for row in read_records(run / "metrics.csv"))) for run in runs]
    return [sum(lengths[:number]) for number in range(len(runs))]
