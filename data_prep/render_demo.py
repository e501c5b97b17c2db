"""The demo's raw material, offline: clips, stills and a small benchmark from scikit-image's photographs.

    python data_prep/render_demo.py --output runs/demo

No photograph is both trained on and held out. Finished files are not made again.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

if not __package__:  # run as a script, whose own folder comes first on the path; the packages lie one above
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from data_prep.demo.clips import plan_clips, render_clip, write_metadata
from data_prep.demo.photographs import HELD_OUT, TRAIN, Photograph, load
from data_prep.demo.stills import Still, render_still
from data_prep.demo.triplets import is_rendered, plan_triplets, render_triplet, write_texts
from data_prep.pool import Failure, map_in_order
from data_prep.run import claim_output
from mimicbrush.config import parse_config
from mimicbrush.errors import UserError, run_command
from mimicbrush.folder_lock import held
from mimicbrush.progress import progress_bar


@dataclass(frozen=True, kw_only=True)
class DemoConfig:
    """Render the demo's videos, stills and benchmark."""

    output: Path = Path("runs/demo")
    """Folder for videos/, stills/ and benchmark/."""
    size: int = 256
    """Side of every picture, in pixels; even, as H.264 wants."""
    train_clips: int = 13
    """Clips of each training photograph."""
    heldout_clips: int = 7
    """Clips of each held-out photograph."""
    stills: int = 12
    """Stills of each training photograph that shows objects."""
    triplets: int = 12
    """Benchmark triplets of each kind."""
    seed: int = 0
    """Decides every view, light and colour."""
    workers: int = 0
    """Processes; 0: one per usable core. Does not change the result."""

    def __post_init__(self) -> None:
        if self.size < 64 or self.size % 2:
            raise ValueError(f"size is {self.size}; expected an even number of 64 or more")
        for name in ("train_clips", "heldout_clips", "stills", "triplets", "workers"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; expected 0 or more")


def render_demo(config: DemoConfig) -> None:
    """Render whatever is missing. Raises UserError where the folder holds a demo of another config."""
    for photograph in (*TRAIN.values(), *HELD_OUT.values()):
        load(photograph)
    with held(config.output):
        claim_output(config.output, config, free=("output", "workers"), results="videos/*/*.mp4")
        _render_clips(config.output / "videos" / "train", TRAIN, config.train_clips, config)
        _render_clips(config.output / "videos" / "heldout", HELD_OUT, config.heldout_clips, config)
        _render_stills(config)
        _render_benchmark(config)


def _render_clips(folder: Path, photographs: dict[str, Photograph], num_each: int, config: DemoConfig) -> None:
    clips = plan_clips(folder, photographs, num_each)
    write_metadata(folder, clips)
    left = [clip for clip in clips if not clip.path.is_file()]
    _render(left, render_clip, config, "clip")
    print(f"{len(clips)} clips of {len(photographs)} photographs -> {folder}")


def _render_stills(config: DemoConfig) -> None:
    folder = config.output / "stills"
    names = [name for name, photograph in TRAIN.items() if photograph.has_objects for _ in range(config.stills)]
    stills = [Still(folder / f"demo_{number:06d}.jpg", number, name, TRAIN[name]) for number, name in enumerate(names)]
    left = [still for still in stills if not still.path.with_suffix(".json").is_file()]
    _render(left, render_still, config, "still")
    print(f"{len(stills)} stills of {len(set(names))} photographs -> {folder}")


def _render_benchmark(config: DemoConfig) -> None:
    folder = config.output / "benchmark"
    triplets = plan_triplets(folder, config.triplets)
    write_texts(triplets)
    _render([triplet for triplet in triplets if not is_rendered(triplet)], render_triplet, config, "triplet")
    print(f"{config.triplets} inner-ID and {config.triplets} inter-ID triplets -> {folder}")


def _render(left: Sequence, render: Callable, config: DemoConfig, noun: str) -> None:
    rendered = map_in_order(partial(render, size=config.size, seed=config.seed), left, workers=config.workers)
    for result in progress_bar(rendered, total=len(left), unit=noun):
        if isinstance(result, Failure):
            raise UserError(f"a {noun} could not be rendered: {result.detail}; the same command goes on from here")


def main() -> None:
    render_demo(parse_config(DemoConfig))


if __name__ == "__main__":
    run_command(main)
