"""Write the small world: stills, clips, evaluation sets, a contact sheet of each, training pairs, and a summary.

Finished files are kept.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from data_prep.records.work_units import claim_output
from data_prep.sharding.pool import Failure, map_in_order
from data_prep.world.config import RenderWorldConfig
from data_prep.world.warp_error import measure_warp_error
from data_prep.world.world_sheets import write_sheets
from data_prep.world.write_clips import is_clip_written, write_clip, write_clip_captions
from data_prep.world.write_pairs import plan_shards, write_pair_shard
from data_prep.world.write_sets import EditTask, draw_sets, write_edit, write_facts
from data_prep.world.write_stills import is_still_written, write_still_captions, write_stills
from mimicbrush.errors import UserError
from mimicbrush.files import refuse_file_name, write_json
from mimicbrush.folder_lock import held
from mimicbrush.progress import progress_bar
from mimicbrush.world.renderer.materials import Material
from mimicbrush.world.renderer.texture_folder import materials_in
from mimicbrush.world.sets.splits import ALL

SUMMARY = "summary.json"
STILLS_PER_TASK = 25
"""Stills that a worker renders at a time."""


def write_world(config: RenderWorldConfig) -> None:
    """Render all missing files. Raises UserError if the folder holds a world of another config."""
    refuse_file_name(config.output)
    textures = _read_textures(config.textures) if config.textures else {}
    with held(config.output):
        claim_output(config.output, config, free=("output", "workers"), results="[!.]*/*")
        summary = {
            "size": config.size,
            "seed": config.seed,
            "textures": list(textures),
            "combinations": dict(Counter(each.split for each in ALL)),
            "stills": _write_stills(config, textures),
            "clips": _write_clips(config, textures),
            "sets": _write_sets(config),
            "pairs": _write_pairs(config),
        }
        sheets = write_sheets(config.output)
        write_json(summary, config.output / SUMMARY)
    print(f"contact sheets: {', '.join(sheets)} -> {config.output / 'sheets'}")


def _read_textures(folder: Path) -> dict[str, Material]:
    """List a user's pictures as materials, and name those that cannot be used."""
    textures, unusable = materials_in(folder)
    for name, error in unusable.items():
        print(f"{folder / name}: skipped, {error.detail}", file=sys.stderr)
    print(f"further materials: {', '.join(textures)}")
    return textures


def _write_stills(config: RenderWorldConfig, textures: Mapping[str, Material]) -> dict:
    folder = config.output / "stills"
    left = [number for number in range(config.stills) if not is_still_written(folder, number)]
    tasks = [left[first : first + STILLS_PER_TASK] for first in range(0, len(left), STILLS_PER_TASK)]
    drawn = {"seed": config.seed, "textures": textures}
    write = partial(write_stills, folder=folder, size=config.size, **drawn)
    _run(write, tasks, total=len(left), unit="still", workers=config.workers)
    write_still_captions(folder, config.stills, **drawn)
    print(f"{config.stills} stills -> {folder}")
    return {"num": config.stills}


def _write_clips(config: RenderWorldConfig, textures: Mapping[str, Material]) -> dict:
    folder = config.output / "clips"
    left = [number for number in range(config.clips) if not is_clip_written(folder, number)]
    drawn = {"seed": config.seed, "textures": textures}
    write = partial(write_clip, folder=folder, size=config.size, frames=config.frames, **drawn)
    _run(write, left, total=len(left), unit="clip", workers=config.workers)
    write_clip_captions(folder, config.clips, **drawn)
    print(f"{config.clips} clips of {config.frames} frames -> {folder}")
    error = measure_warp_error(folder, config.clips, frames=config.frames, size=config.size, **drawn)
    return {"num": config.clips, "frames": config.frames, "warp_error_in_levels": error}


def _write_sets(config: RenderWorldConfig) -> dict:
    folder = config.output / "sets"
    sets = draw_sets(config.sets, size=config.size, seed=config.seed)
    tasks = [EditTask(folder / kind, edit) for kind, edits in sets.items() for edit in edits]
    left = [task for task in tasks if not task.is_written]
    _run(partial(write_edit, size=config.size), left, total=len(left), unit="edit", workers=config.workers)
    summary = {}
    for kind, edits in sets.items():
        write_facts(folder / kind, edits)
        summary[kind] = dict(Counter(f"{edit.facts.vocabulary}, {edit.facts.scoring}" for edit in edits))
        print(f"{len(edits)} edits -> {folder / kind}")
    return summary


def _write_pairs(config: RenderWorldConfig) -> dict[str, int]:
    folder = config.output / "shards"
    counts = {kind: num for kind, num in asdict(config.pairs).items() if num}
    for kind, num in counts.items():
        left = [shard for shard in plan_shards(folder, kind, num) if not shard.is_written]
        total = sum(shard.last - shard.first for shard in left)
        write = partial(write_pair_shard, size=config.size, seed=config.seed)
        _run(write, left, total=total, unit="pair", workers=config.workers)
        print(f"{num} pairs -> {folder / kind}")
    return counts


def _run(write: Callable[[object], int], tasks: Sequence, *, total: int, unit: str, workers: int) -> None:
    """Do tasks in worker processes, each of which returns how many units it finished."""
    with progress_bar(total=total, unit=unit) as bar:
        for finished in map_in_order(write, tasks, workers=workers):
            if isinstance(finished, Failure):
                raise UserError(
                    f"a {unit} could not be rendered: {finished.detail}; run the same command again to resume"
                )
            bar.update(finished)
