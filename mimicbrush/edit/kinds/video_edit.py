"""Edits of a clip by a target picture: their options."""

# Annotations are not postponed here: jsonargparse would import what type checkers see, and so torch.

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from mimicbrush.edit.clip_config import ClipSourceConfig, LayerFormat
from mimicbrush.edit.config import PROGRAM, EditConfig
from mimicbrush.errors import Faults
from mimicbrush.requests import VideoRequest

if TYPE_CHECKING:
    from mimicbrush.edit.loaded_inputs import Inputs


@dataclass(frozen=True, kw_only=True)
class VideoEditConfig(ClipSourceConfig, EditConfig):
    """Replace the object in a clip by the object of a target picture."""

    source: Path | None = None
    """The clip to edit: a video file, or a folder of frames."""
    output: Path | None = None
    """Clip to write (.mp4, .mkv or .mov), with the source's frame times, colour range and sound. With num_images, -1,
    -2, ... is added before the suffix. Where the clip was edited is written beside it, as OUTPUT-mask.png."""
    source_prompt: str | None = None
    """Describes the clip as it is."""
    target_image: Path | None = None
    """Picture of the new object. Where it has transparent parts, the others are the object."""
    target_prompt: str | None = None
    """Describes the clip after the edit."""
    target_mask: Path | None = None
    """Mask of the object in the target picture, white on the object."""
    mask: Path | None = None
    """Where the edit happens, white in each frame: an animated PNG or a folder of masks, of the source's size and
    number of frames, such as a mask that an earlier edit wrote beside its result, corrected by hand. null: the editor
    proposes one."""
    editor: str = "mimicbrush.editors.genvideo.GenVideoEditor"

    kind = "video"
    request_class = VideoRequest
    needed = ("source", "source_prompt", "target_image", "target_prompt", "output")
    optional = ("target_mask", "mask", "seed")
    examples = (
        f'{PROGRAM} video --source clip.mp4 --source_prompt "a red car" --target_image bus.png --target_prompt "a bus"'
        " --output edited.mp4",
        f"{PROGRAM} video --batch clips.csv --init_args '{{pretrained: asset:unclip, preset: small}}'",
    )
    ordinary = (*needed, "target_mask", "mask", "init_args", "seed")
    is_clip: ClassVar[bool] = True
    after_stop = (
        "run the same command again: GenVideo goes on from what it has tuned, and a batch makes only what is missing"
    )
    layer_format: ClassVar[LayerFormat] = "frames"

    def __post_init__(self) -> None:
        faults = Faults()
        with faults.collect():
            super().__post_init__()
        self.check_reading(faults)
        faults.refuse()

    def request(self, inputs: "Inputs", canvas_size: int) -> VideoRequest:
        return VideoRequest(
            source=inputs.frames,
            source_prompt=self.source_prompt,
            target_prompt=self.target_prompt,
            target_image=inputs.target.picture,
            target_mask=inputs.target.mask,
            mask=inputs.masks,
            fps=inputs.clip.fps,
            seed=self.seed,
        )

    @property
    def pictures(self) -> dict[str, list[Path | None]]:
        return super().pictures | {
            "mask": [self.mask],
            "target_image": [self.target_image],
            "target_mask": [self.target_mask],
        }
