"""Edits of a clip: their options."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from mimicbrush.edit.clip_config import CONTAINERS
from mimicbrush.edit.config import PROGRAM
from mimicbrush.errors import Faults
from mimicbrush.requests import EditRequest, VideoRequest


@dataclass(frozen=True, kw_only=True)
class VideoEditConfig:
    """Replace the object in a clip by the object of a target picture."""

    source: Path
    """The clip to edit."""
    source_prompt: str
    """Describes the clip as it is."""
    target_image: Path
    """Picture of the new object. Where it has transparent parts, the others are the object."""
    target_prompt: str
    """Describes the clip after the edit."""
    output: Path
    """Clip to write (.mp4, .mkv or .mov), with the source's frame times and sound. Layers of the result are written
    beside it as animated PNGs: OUTPUT-mask.png is where the clip was edited."""
    target_mask: Path | None = None
    """Mask of the object in the target picture, white on the object."""
    mask: Path | None = None
    """Where the edit happens, white in each frame: an animated PNG of the source's size and number of frames, such as
    a mask that an earlier edit wrote, corrected by hand. null: the editor proposes one."""
    editor: str = "mimicbrush.editors.genvideo.GenVideoEditor"
    """Class path of the editor."""
    init_args: dict = field(default_factory=dict)
    """Arguments of the editor's class, for instance '{pretrained: runs/unclip, settings: {resolution: 768}}'."""
    seed: int = 0
    """Seed of the noise, 0 or more."""
    max_frames: int = 240
    """Largest number of frames; all are held in memory, 12 bytes a pixel."""
    force: bool = False
    """Overwrite existing files."""

    kind: ClassVar[str] = "video"
    request_class: ClassVar[type[EditRequest]] = VideoRequest
    examples: ClassVar[tuple[str, ...]] = (
        f'{PROGRAM} video --source clip.mp4 --source_prompt "a red car" --target_image bus.png --target_prompt "a bus"'
        " --output edited.mp4",
    )
    ordinary: ClassVar[tuple[str, ...]] = (
        "source",
        "source_prompt",
        "target_image",
        "target_prompt",
        "output",
        "target_mask",
        "mask",
        "init_args",
        "seed",
    )

    def __post_init__(self) -> None:
        faults = Faults()
        faults.check(
            self.output.suffix.lower() in CONTAINERS,
            f"output is {self.output}, expected a name ending in {', '.join(CONTAINERS)}",
        )
        faults.check(0 <= self.seed < 2**63, f"seed is {self.seed}, expected 0 to 2^63 - 1")
        faults.check(self.max_frames >= 2, f"max_frames is {self.max_frames}, expected at least 2")
        faults.check(
            self.output.resolve() != self.source.resolve(),
            f"output would overwrite source {self.source}; choose another",
        )
        faults.refuse()
