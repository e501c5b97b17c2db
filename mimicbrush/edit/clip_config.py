"""Options of edits of clips through a layered atlas, which several kinds of edits share."""

# Annotations are not postponed here, as in config.py: jsonargparse would not find their names.
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal, get_args

from mimicbrush.atlas.config import ATLAS_FILE
from mimicbrush.errors import Faults, UserError

CONTAINERS = (".mp4", ".mkv", ".mov")
"""Suffixes of clips that are written."""
FOLDERS_OF_CLIPS = {"source": "clip or folder of frames", "mask": "picture, animated PNG or folder of masks"}
"""Options of a clip's edit that may name a folder of pictures, and what they may name."""
LayerFormat = Literal["frames", "webm"]


@dataclass(frozen=True, kw_only=True)
class ClipSourceConfig:
    """Reading a clip."""

    fps: float | None = None
    """Frames a second of a source that is a folder of frames; null: 25. A video file has its own."""
    max_frames: int = 240
    """Largest number of frames of a clip; all are held in memory, 42 bytes a pixel, with the layers of its atlas if it
    has one."""

    def check_reading(self, faults: Faults) -> None:
        """Add the faults of these options."""
        faults.check(self.fps is None or 0 < self.fps <= 1000, f"fps is {self.fps}, expected more than 0, at most 1000")
        faults.check(self.max_frames >= 2, f"max_frames is {self.max_frames}, expected at least 2")


@dataclass(frozen=True, kw_only=True)
class AtlasEditConfig(ClipSourceConfig):
    """Editing a clip instead of a picture."""

    atlas: Path | None = None
    """Edit a clip instead of a picture, through its layered atlas: the folder of python -m mimicbrush.atlas, or a
    checkpoint of the published method. source is then the clip of this atlas, a video file or a folder of frames, and
    output a clip (.mp4, .mkv or .mov) with the same frame times and sound."""
    layer_format: LayerFormat = "frames"
    """Files of a clip's layer, beside output. frames: a folder OUTPUT-rgba with a PNG with alpha for each frame; webm:
    OUTPUT-rgba.webm, a clip with alpha."""

    def check_clip_options(self, faults: Faults) -> None:
        """Add the faults of these options."""
        allowed = get_args(LayerFormat)
        faults.check(
            self.layer_format in allowed, f"layer_format is {self.layer_format}, expected {' or '.join(allowed)}"
        )
        self.check_reading(faults)
        if self.atlas is None:
            given = [each.name for each in fields(AtlasEditConfig) if getattr(self, each.name) != each.default]
            faults.check(not given, f"{', '.join(given)}: only for clips; give the clip's atlas")

    def check_atlas(self) -> None:
        """Raise UserError if the atlas is missing."""
        if self.atlas is not None and not self.atlas_file.is_file():
            raise UserError(
                f"atlas {self.atlas}: no finished atlas; make one with python -m mimicbrush.atlas --clip CLIP --masks"
                f" MASKS --output {self.atlas}"
            )

    @property
    def atlas_file(self) -> Path | None:
        """The file of the atlas, whose content a result depends on."""
        return self.atlas / ATLAS_FILE if self.atlas is not None and self.atlas.is_dir() else self.atlas
