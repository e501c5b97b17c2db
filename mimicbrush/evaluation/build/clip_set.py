"""Builds a set of clips from a CSV that names clips or folders of frames, prompts, target pictures and masks."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from mimicbrush.benchmark_layout import CLIPS, MASK, PARTS, REFERENCE, REFERENCE_MASK, SOURCE, find_pictures
from mimicbrush.csv_rows import read_rows
from mimicbrush.errors import Faults, UserError
from mimicbrush.evaluation.benchmark_faults import find_faults
from mimicbrush.evaluation.build.config import ClipSetConfig
from mimicbrush.evaluation.config import FOLDER_NAME, BenchmarkSet
from mimicbrush.evaluation.preconditions import refuse_faults
from mimicbrush.files import is_there, write_json
from mimicbrush.folder_lock import held
from mimicbrush.pictures.conversion import is_masked, on_white, to_levels
from mimicbrush.pictures.geometry import shrink_to
from mimicbrush.pictures.reading import read_channels
from mimicbrush.pictures.writing import write_frames
from mimicbrush.progress import progress_bar
from mimicbrush.video.frame_sequence import read_frame_sequence

NEEDED = ("source", "source_prompt", "target_image", "target_prompt")
FURTHER = ("id", "mask", "target_mask", "fps")
FRAMES_PER_SECOND = 8.0
"""Frame rate of frames that are pictures, where the row names none."""


class ReadClip(NamedTuple):
    """A sample as it is written."""

    pictures: dict[str, Tensor]
    """Frames (T, C, H, W) by the suffix of their file."""
    facts: dict[str, object]


def build_clip_set(config: ClipSetConfig) -> str:
    """Write the set; returns the line to print.

    Rows with faults are named and skipped, and UserError is raised at the end; the same command, once they are fixed,
    writes the whole set again.
    """
    faults: dict[int, list[str]] = {}
    rows = read_rows(config.samples, NEEDED, optional=FURTHER, faults=faults)
    numbers = {line: number for number, line in enumerate(sorted({*rows, *faults}))}
    if not numbers:
        raise UserError(f"{config.samples}: has no rows; expected one for each clip")
    written: dict[str, dict] = {}
    with held(config.output):
        if find_pictures(config.output) and not (config.output / CLIPS).is_file():
            raise UserError(f"{config.output}: holds a benchmark that is not a set of clips; choose another output")
        if not (config.output / CLIPS).is_file():
            write_json({}, config.output / CLIPS)  # marks the folder as such a set, should the command be interrupted
        for line, row in progress_bar(rows.items(), desc="clips", unit="clip"):
            name = row.get("id") or f"{numbers[line]:03d}"
            try:
                if not FOLDER_NAME.fullmatch(name) or name in written:
                    raise UserError(f"id is {name}, expected letters, digits, dots, dashes, and no id twice")
                written[name] = _write(name, row, config)
            except UserError as error:
                faults[line] = error.faults
        for line, found in sorted(faults.items()):
            tqdm.write(f"skipped line {line}: {'; '.join(found)}", file=sys.stderr)
        if not written:
            raise UserError(f"{config.samples}: no row can be used, for the reasons above")
        write_json(written, config.output / CLIPS)
        benchmark = BenchmarkSet(folder=config.output, task="video", track="clips")
        refuse_faults({str(config.output): find_faults(benchmark)})
    if faults:
        raise UserError(
            f"{config.samples}: {len(faults)} of {len(numbers)} lines were skipped, for the reasons above;"
            f" {len(written)} clips -> {config.output}"
        )
    return f"{len(written)} clips -> {config.output}"


def _path(config: ClipSetConfig, row: dict[str, str], name: str) -> Path | None:
    """The path in a cell, relative to the list; None for an empty one. Raises UserError if nothing is there."""
    cell = row.get(name, "").strip()
    path = config.samples.parent / cell
    if not is_there(path):
        raise UserError(f"{name} is {cell}, but there is no such file or folder; paths are relative to the list")
    return path if cell else None


def _write(name: str, row: dict[str, str], config: ClipSetConfig) -> dict[str, object]:
    """Read a row's files and write the sample; returns its entry in clips.json."""
    read = _read(row, config)
    for suffix in set(PARTS) - read.pictures.keys():  # of another row that had this id
        (config.output / f"{name}{suffix}").unlink(missing_ok=True)
    for suffix, frames in read.pictures.items():
        write_frames([shrink_to(frame, config.max_side) for frame in frames], config.output / f"{name}{suffix}")
    return read.facts


def _read(row: dict[str, str], config: ClipSetConfig) -> ReadClip:
    faults = Faults()
    for name in NEEDED:
        faults.check(bool(row[name].strip()), f"{name} is empty")
    faults.refuse()
    source = _path(config, row, "source")
    frames, stated_fps = read_frame_sequence(source, max_frames=config.max_frames)
    if len(frames) < 2:
        raise UserError(f"{source} has 1 frame, expected a clip of at least 2")
    cell = row.get("fps", "").strip()
    fps = _number(cell) if cell else stated_fps or FRAMES_PER_SECOND
    target = read_channels(_path(config, row, "target_image"))
    pictures = {SOURCE: frames, REFERENCE: on_white(target)[None]}
    if path := _path(config, row, "target_mask"):
        pictures[REFERENCE_MASK] = _read_masks(path, on_white(target)[None], max_frames=1, may_be_full=True)
    elif len(target) == 4 and (target[3] <= 0.5).any():
        pictures[REFERENCE_MASK] = (target[3:] > 0.5).float()[None]
    if path := _path(config, row, "mask"):
        pictures[MASK] = _read_masks(path, frames, max_frames=config.max_frames)
    return ReadClip(pictures, {"prompt": row["target_prompt"], "source_prompt": row["source_prompt"], "fps": fps})


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        raise UserError(f"fps is {cell}, expected a number of frames a second") from None


def _read_masks(path: Path, source: Tensor, *, max_frames: int, may_be_full: bool = False) -> Tensor:
    """Read masks (T, 1, H, W), or one for all frames; bright colours mark the object, as in palettes of annotations.

    Raises UserError if their number or size is not that of the source, or they mark nothing, or all unless
    `may_be_full`.
    """
    frames, _ = read_frame_sequence(path, max_frames=max_frames)
    if len(frames) not in (1, len(source)) or frames.shape[2:] != source.shape[2:]:
        found, wanted = ((len(each), each.shape[3], each.shape[2]) for each in (frames, source))
        raise UserError(
            f"{path} has {found[0]} frames of {found[1]} x {found[2]}, expected {wanted[0]} of {wanted[1]} x"
            f" {wanted[2]}; give one mask for each frame, of the same size"
        )
    masked = is_masked(np.stack([to_levels(frame).max(axis=2) for frame in frames]))
    if not masked.any() or (masked.all() and not may_be_full):
        marked = "everything" if masked.any() else "nothing"
        raise UserError(f"{path} marks {marked}; paint the object white and the rest black")
    return torch.from_numpy(masked).float()[:, None]
