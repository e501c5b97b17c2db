"""Edits by a motion: their options."""

# Annotations are not postponed here: jsonargparse would import what type checkers see, and so torch.

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mimicbrush.edit.config import PROGRAM, EditConfig
from mimicbrush.errors import Faults
from mimicbrush.flow.motion_words import parse_words
from mimicbrush.requests import MotionRequest

if TYPE_CHECKING:
    from mimicbrush.edit.loaded_inputs import Inputs


@dataclass(frozen=True, kw_only=True)
class MotionEditConfig(EditConfig):
    """Move, turn, stretch or bend an object of a picture."""

    mask: Path | None = None
    """Mask of the object that moves: white on the object at its present place, black elsewhere, of the source's size.
    It does not limit what may change; for that there is edit_mask. Needed with move; with flow, only this object
    moves, and without it everything whose flow is not zero."""
    move: str | None = None
    """The motion in words, separated by semicolons, first one first: 'translate RIGHT DOWN' in pixels, 'rotate DEGREES'
    clockwise, 'scale FACTOR', 'stretch HORIZONTAL VERTICAL', 'bend DEGREES' between the ends, positive to lift them,
    'homography' with RIGHT DOWN for each corner of the object's box: top left, top right, bottom right, bottom left.
    For example 'translate 40 0; rotate 15'."""
    flow: Path | None = None
    """The motion as a flow field instead of words: pixels to the right, then down, on the source's grid. An array
    (2, H, W) or (1, 2, H, W) in .npy, .npz or .pth, a .flo, or KITTI's .png."""
    edit_mask: Path | None = None
    """Mask of what may change: white on the object's old and new place and around them, black where the source is
    kept. It does not say what moves; for that there is mask. null: one is proposed."""
    keep_mask: Path | None = None
    """The opposite of edit_mask, to be given in its place: white where the source is kept. A picture of the source's
    size, or a .pth file of Motion Guidance's release, true where latents are kept."""
    prompt: str = ""
    """Describes the picture, for an editor that reads a prompt."""
    editor: str = "mimicbrush.editors.move_and_repaint.MoveAndRepaintEditor"

    kind = "motion"
    request_class = MotionRequest
    needed = ("source", "output")
    optional = ("mask", "move", "flow", "edit_mask", "keep_mask", "prompt", "seed")
    examples = (
        f"{PROGRAM} motion --source s.png --mask m.png --move 'translate 40 0; rotate 15' --output e.png",
        f"{PROGRAM} motion --source s.png --flow f.npy --output e.png --editor"
        " mimicbrush.editors.motion_guidance.MotionGuidanceEditor --init_args '{pretrained: runs/sd-v1-4}'",
        f"{PROGRAM} motion --batch motions.csv",
    )
    ordinary = ("source", "mask", "move", "flow", "edit_mask", "keep_mask", "output", "editor", "init_args", "seed")

    def __post_init__(self) -> None:
        faults = Faults()
        with faults.collect():
            super().__post_init__()
        given = [name for name in ("move", "flow") if getattr(self, name) is not None]
        if self.batch is None:
            faults.check(
                len(given) == 1,
                f"{' and '.join(given) or 'no motion'} given; give one of move ('translate 40 0') and flow (a file)",
            )
            faults.check(
                self.move is None or self.mask is not None,
                "mask not given; name the mask of the object that moves, white on the object",
            )
        faults.check(
            self.mask is None or self.edit_mask is None or self.mask.resolve() != self.edit_mask.resolve(),
            f"mask and edit_mask are both {self.mask}; mask is the object that moves, edit_mask what may change, which"
            " includes its new place; leave edit_mask out to have it proposed",
        )
        faults.check(
            self.edit_mask is None or self.keep_mask is None,
            "edit_mask and keep_mask given; give edit_mask, white where the source may change, or keep_mask, white"
            " where it is kept",
        )
        if self.move is not None:
            with faults.collect():
                parse_words(self.move)
        faults.refuse()

    def request(self, inputs: "Inputs", canvas_size: int) -> MotionRequest:
        edit_mask = inputs.edit_mask
        return MotionRequest(
            source=inputs.frames,
            flow=inputs.flow,
            mask=None if edit_mask is None else edit_mask[None],
            prompt=self.prompt,
            seed=self.seed,
        )

    @property
    def pictures(self) -> dict[str, list[Path | None]]:
        return super().pictures | {
            "mask": [self.mask],
            "flow": [self.flow],
            "edit_mask": [self.edit_mask],
            "keep_mask": [self.keep_mask],
        }
