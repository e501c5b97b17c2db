"""Render the demo's clips, stills and small benchmark from scikit-image's photographs.

No photograph is both trained on and held out. Finished files are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from data_prep.demo.config import RenderDemoConfig
from data_prep.demo.demo_photographs import HELD_OUT, TRAIN, DemoPhotograph, load
from data_prep.demo.render_clips import plan_clips, render_clip, write_metadata
from data_prep.demo.render_stills import DemoStill, render_still
from data_prep.demo.render_triplets import is_rendered, plan_triplets, render_triplet, write_texts
from data_prep.records.work_units import claim_output
from data_prep.sharding.pool import Failure, map_in_order
from mimicbrush.errors import UserError
from mimicbrush.folder_lock import held
from mimicbrush.progress import progress_bar


def render_demo(config: RenderDemoConfig) -> None:
    """Render all missing files. Raises UserError if the folder holds a demo of another config."""
    for photograph in (*TRAIN.values(), *HELD_OUT.values()):
        load(photograph)
    with held(config.output):
        claim_output(config.output, config, free=("output", "workers"), results="videos/*/*.mp4")
        _render_clips(config.output / "videos" / "train", TRAIN, config.train_clips, config)
        _render_clips(config.output / "videos" / "heldout", HELD_OUT, config.heldout_clips, config)
        _render_stills(config)
        _render_benchmark(config)


def _render_clips(
    folder: Path, photographs: dict[str, DemoPhotograph], num_each: int, config: RenderDemoConfig
) -> None:
    clips = plan_clips(folder, photographs, num_each)
    write_metadata(folder, clips)
    left = [clip for clip in clips if not clip.path.is_file()]
    _render(left, render_clip, config, "clip")
    print(f"{len(clips)} clips of {len(photographs)} photographs -> {folder}")


def _render_stills(config: RenderDemoConfig) -> None:
    folder = config.output / "stills"
    names = [name for name, photograph in TRAIN.items() if photograph.has_objects for _ in range(config.stills)]
    stills = [
        DemoStill(folder / f"demo_{number:06d}.jpg", number, name, TRAIN[name]) for number, name in enumerate(names)
    ]
    left = [still for still in stills if not still.path.with_suffix(".json").is_file()]
    _render(left, render_still, config, "still")
    print(f"{len(stills)} stills of {len(set(names))} photographs -> {folder}")


def _render_benchmark(config: RenderDemoConfig) -> None:
    folder = config.output / "benchmark"
    triplets = plan_triplets(folder, config.triplets)
    write_texts(triplets)
    _render([triplet for triplet in triplets if not is_rendered(triplet)], render_triplet, config, "triplet")
    print(f"{config.triplets} inner-ID and {config.triplets} inter-ID triplets -> {folder}")


def _render(left: Sequence, render: Callable, config: RenderDemoConfig, noun: str) -> None:
    rendered = map_in_order(partial(render, size=config.size, seed=config.seed), left, workers=config.workers)
    for result in progress_bar(rendered, total=len(left), unit=noun):
        if isinstance(result, Failure):
            raise UserError(f"a {noun} could not be rendered: {result.detail}; run the same command again to resume")
