"""Pictures that were made elsewhere, as an editor: they stand in the same tables as those made here."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from string import Formatter

import torch
from torch import Tensor

from mimicbrush.errors import UserError, quoted
from mimicbrush.files import list_pictures
from mimicbrush.pictures.geometry import resize
from mimicbrush.requests import Edited, Editor, EditRequest, OnProgress
from mimicbrush.video.frame_sequence import read_frame_sequence

PLACEHOLDERS = frozenset({"id", "seed"})
MAX_FRAMES = 1_000
"""Largest number of frames of a clip."""


class PicturesFromFolder(Editor):
    """Answers each request with the picture that a folder holds for the sample's id.

    folder: where the pictures lie; pattern: their path in it, with `{id}` for the sample's id and, if there is one
    picture for each seed, `{seed}`. A clip is an animated picture, a video file, or a folder of pictures, which are
    its frames in the order of their names; it has as many frames as its source.
    A picture of another size is scaled to that of the source if both have the same proportions, to a pixel; any other
    picture is refused, because it cannot be known which part of the source it shows.
    """

    request_class = EditRequest

    def __init__(self, folder: str, pattern: str = "{id}.png") -> None:
        self.folder, self.pattern = Path(folder), pattern
        if not self.folder.is_dir():
            raise UserError(f"{folder}: no such folder of pictures")
        try:
            names = {name for _, name, _, _ in Formatter().parse(pattern) if name is not None}
            pattern.format(id="000", seed=1)
        except (ValueError, LookupError, AttributeError, TypeError):
            names = set()
        if "id" not in names or not names <= PLACEHOLDERS or Path(pattern).is_absolute():
            raise UserError(
                f"pattern is {quoted(pattern)}, expected a path within folder, like {{id}}.png or {{id}}_{{seed}}.png"
            )

    def edit(self, request: EditRequest, *, on_progress: OnProgress | None = None) -> Edited:
        if request.id is None:
            raise UserError("the request has no id, by which its picture is found; run it with evaluate.py on a set")
        path = self._path_of(request.id, request.seed)
        if not self.files_of(request.id, request.seed):
            raise UserError(f"{path}: no such picture")
        frames, size = read_frame_sequence(path, max_frames=MAX_FRAMES).frames, tuple(request.source.shape[2:])
        if len(frames) != len(request.source):
            raise UserError(f"{path} has {len(frames)} frames, its source {len(request.source)}; export as many")
        edited = Edited(torch.stack([_fit(frame, *size, path) for frame in frames]))
        if on_progress is not None:
            on_progress(1.0, lambda: edited)
        return edited

    def files_of(self, id: str, seed: int) -> list[Path]:
        """Files of the answer to a sample, which may be one for each frame; empty if there is none."""
        path = self._path_of(id, seed)
        return list_pictures(path) if path.is_dir() else [path] * path.is_file()

    def find_faults(self, requests: Iterable[EditRequest]) -> list[str]:
        """Faults of the answers to these requests: pictures that are missing, in one fault, unreadable or unfit."""
        missing, faults, seeds_of = [], [], {}
        for request in requests:
            path = self._path_of(request.id, request.seed)
            seeds_of.setdefault(path, set()).add(request.seed)
            if not self.files_of(request.id, request.seed):
                missing.append(str(path.relative_to(self.folder)))
                continue
            try:
                self.edit(request)
            except UserError as error:
                faults.append(str(error))
        if missing:
            names = ", ".join(dict.fromkeys(missing))
            faults.insert(0, f"{self.folder} lacks {len(set(missing))} of {len(seeds_of)} pictures: {names}")
        if seeds := next((seeds for seeds in seeds_of.values() if len(seeds) > 1), None):
            listed = ", ".join(map(str, sorted(seeds)))
            faults.append(
                f"one picture would answer the seeds {listed}; add {{seed}} to pattern, or `seeds: [{min(seeds)}]` to"
                " the editor's entry"
            )
        return faults

    def _path_of(self, id: str, seed: int) -> Path:
        return self.folder / self.pattern.format(id=id, seed=seed)


def _fit(frame: Tensor, height: int, width: int, path: Path) -> Tensor:
    """Scale a frame to the source's size; raises UserError where the proportions differ by a pixel or more."""
    found_height, found_width = frame.shape[1:]
    beyond = min(abs(found_height - height * found_width / width), abs(found_width - width * found_height / height))
    if beyond >= 1:
        raise UserError(
            f"{path} is {found_width} x {found_height}, its source {width} x {height}, of other proportions; export it"
            " at the source's size"
        )
    return resize(frame, height, width).clamp(0, 1)
