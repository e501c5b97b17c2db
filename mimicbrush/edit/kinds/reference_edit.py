"""Edits from a reference picture: their options, and those for loading MimicBrush's weights."""

# Annotations are not postponed here: jsonargparse would import what type checkers see, and so torch.

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mimicbrush.edit.clip_config import AtlasEditConfig
from mimicbrush.edit.config import PROGRAM, MaskedEditConfig
from mimicbrush.editors.mimicbrush.settings import EditSettings
from mimicbrush.editors.through_atlas.settings import ThroughAtlasSettings
from mimicbrush.errors import Faults, UserError
from mimicbrush.requests import Precision, ReferenceRequest

if TYPE_CHECKING:
    from mimicbrush.edit.loaded_inputs import Inputs
    from mimicbrush.requests import Editor


@dataclass(frozen=True, kw_only=True)
class LoadConfig:
    """The weights to edit with, and the device and precision to run them in."""

    weights: str
    """A training run, a folder or hub repository made by `python -m mimicbrush.model.weights convert`, a released
    mimicbrush.bin, or asset:tiny, the small weights shipped with this package."""
    lora: Path | None = None
    """A LoRA file made by `python -m mimicbrush.model.weights lora`, for use with the weights it was trained on."""
    lora_scale: float = 1.0
    """Strength of the LoRA file; 0: no effect, 1: as trained."""
    quick: bool = False
    """Edit in few steps without guidance, with the LoRA file for few steps that comes with the weights."""
    scheduler: str | None = None
    """Sampler, a scheduler class of diffusers, for instance UniPCMultistepScheduler for fewer steps; null: the sampler
    stored with the weights or the LoRA file, or DDIMScheduler."""
    use_ema: bool = True
    """Take the averaged weights (EMA) of a training run; false: its last weights."""
    device: str = "auto"
    """Device to compute on, such as cpu or cuda:1; auto: a GPU if there is one, otherwise the CPU."""
    precision: Precision = "auto"
    """Precision of the computation; auto: float16 on a GPU, as in the release, and float32 elsewhere."""
    offload: Literal["none", "model", "sequential"] = "none"
    """Keep weights in CPU memory and move them to the GPU when they are used, one model or one layer (sequential) at a
    time: less GPU memory, slower."""
    vae_tiling: bool = False
    """Run the autoencoder on overlapping tiles: less memory, slightly different results."""

    def __post_init__(self) -> None:
        faults = Faults()
        faults.check(
            self.lora is None or self.lora.is_file(),
            f"lora is {self.lora}, where no file is; give a LoRA file or leave it out",
        )
        if not math.isfinite(self.lora_scale):
            faults.check(False, f"lora_scale is {self.lora_scale}, expected a finite number, 1 as trained")
        elif self.lora is None:
            faults.check(
                self.lora_scale == 1,
                f"lora_scale is {self.lora_scale}, but no lora is given; give the LoRA file to scale",
            )
        faults.check(
            not (self.quick and self.offload == "sequential"),
            "quick changes weights, which offload=sequential does not allow; take offload=model, or give the LoRA file"
            " for few steps as lora",
        )
        faults.refuse()

    @property
    def adapter(self) -> Path | None:
        """The LoRA file that the edit uses, given or, with quick, that of the weights; imports nothing heavy."""
        from mimicbrush.model.weights.find import few_steps_of

        if self.quick:
            return few_steps_of(self.weights)
        return self.lora if self.lora_scale else None

    def check_local_weights(self) -> None:
        """Raise UserError if weights on this machine are missing, or lack what quick needs; imports nothing heavy."""
        from mimicbrush.hub.locations import is_local
        from mimicbrush.model.weights.find import find_weights

        if is_local(self.weights):
            find_weights(self.weights)
            self.check_quick()

    def check_quick(self) -> None:
        """Raise UserError if quick is set and the weights come without a LoRA file for few steps."""
        from mimicbrush.model.weights.find import FEW_STEPS_NAME

        if self.quick and self.adapter is None:
            raise UserError(
                f"{self.weights} comes without {FEW_STEPS_NAME}, which quick needs; leave quick out, or train such a"
                " file with configs/train/few_steps.yaml and give it as lora"
            )

    @property
    def announcement(self) -> str:
        """The first words of a command that loads weights, printed before heavy imports."""
        weights = self.weights if self.lora is None else f"{self.weights} with {self.lora}"
        place = "a GPU if there is one, else the CPU" if self.device == "auto" else self.device
        return f"loading {weights} on {place}"


@dataclass(frozen=True, kw_only=True)
class ReferenceEditConfig(LoadConfig, EditSettings, AtlasEditConfig, ThroughAtlasSettings, MaskedEditConfig):
    """Repaint the masked part of a picture, or of a clip, so that it imitates the matching part of a reference."""

    weights: str | None = None
    mask: Path | None = None
    """Mask of the region to repaint: white where the edit happens, of the source's size. For a clip, the mask of one
    frame (edited_frame, or else the first), or an animated PNG or a folder with one for each frame."""
    reference: list[Path] | Path | None = None
    """The picture to imitate. Several, as '[a.png, b.png]', are placed side by side on one canvas."""
    reference_box: list[int] | list[list[int] | None] | None = None
    """Box around the object to imitate in the reference: left, top, right, bottom in pixels, as '[10, 20, 200, 180]'.
    For several references one box or null each: '[[10, 20, 200, 180], null]'."""
    reference_mask: Path | list[Path | None] | None = None
    """Mask of the object to imitate in the reference, white on the object. For several references one mask or null
    each: '[null, m.png]'."""
    mask_on_atlas: bool = False
    """Whether mask is painted over the atlas's foreground.png, or its background.png if that is edited_layer, and not
    over a frame of the clip."""
    keep_shape: bool = False
    """Keep the shape of the source's masked object (texture transfer)."""

    kind = "reference"
    request_class = ReferenceRequest
    needed = ("source", "mask", "reference", "output")
    optional = ("seed", "keep_shape", "reference_box", "reference_mask")
    examples = (
        f"{PROGRAM} reference --source s.png --mask m.png --reference r.png --output e.png --weights asset:tiny",
        f"{PROGRAM} reference --batch edits.csv --weights runs/demo/train",
        f"{PROGRAM} reference --replay e.png --output again.png",
        f"{PROGRAM} reference --source clip.mp4 --atlas runs/atlas --mask m.png --reference r.png --output e.mp4"
        " --weights asset:tiny",
    )
    ordinary = ("weights", "source", "mask", "reference", "output", "keep_shape", "seed")

    def __post_init__(self) -> None:
        faults = Faults()
        if self.editor is None:
            faults.check(
                self.weights is not None, "weights not given; give them, asset:tiny for instance, or an editor"
            )
            faults.check(not self.init_args, "init_args are an editor's arguments; give its class path as editor, too")
        elif given := self.given(LoadConfig, EditSettings):
            faults.add(f"{', '.join(given)}: not for {self.editor}; give its own arguments as init_args")
        for base in (LoadConfig, MaskedEditConfig, EditSettings, ThroughAtlasSettings):
            with faults.collect():
                base.__post_init__(self)
        self.check_clip_options(faults)
        given = [*self.given(ThroughAtlasSettings), *(["mask_on_atlas"] if self.mask_on_atlas else [])]
        if self.atlas is None and given:
            faults.add(f"{', '.join(given)}: only for clips; give the clip's atlas")
        if self.batch is None and self.reference is not None:
            self._check_references(faults)
        faults.refuse()

    def _check_references(self, faults: Faults) -> None:
        faults.check(bool(self.references), "reference is an empty list; give one picture or several")
        for name, given in (("reference_box", self.boxes), ("reference_mask", self.reference_masks)):
            faults.check(
                len(given) == len(self.references),
                f"{len(given)} of {name} for {len(self.references)} references; give one each, or null",
            )
        for box in filter(None, self.boxes):
            faults.check(
                _is_box(box),
                f"reference_box is {box}, expected whole left, top, right, bottom in pixels, none below 0, with left"
                " below right and top below bottom",
            )

    def check_weights(self) -> None:
        self.check_atlas()
        if self.weights is not None:
            self.check_local_weights()

    def adapt(self, editor: "Editor") -> "Editor":
        if self.atlas is None:
            return editor
        from mimicbrush.editors.through_atlas.editor import ThroughAtlasEditor

        return ThroughAtlasEditor(editor, self.atlas, settings=self.atlas_settings, device=self.device)

    @property
    def is_clip(self) -> bool:
        return self.atlas is not None

    def request(self, inputs: "Inputs", canvas_size: int) -> ReferenceRequest:
        return ReferenceRequest(
            source=inputs.frames,
            mask=inputs.masks,
            reference=inputs.join_references(canvas_size),
            keep_shape=self.keep_shape,
            seed=self.seed,
        )

    @property
    def announcement(self) -> str:
        return super().announcement if self.editor is None else f"loading {self.editor}"

    @property
    def references(self) -> list[Path]:
        return self.reference if isinstance(self.reference, list) else [self.reference]

    @property
    def boxes(self) -> list[list[int] | None]:
        box = self.reference_box
        if box is None:
            return [None] * len(self.references)
        return box if box and isinstance(box[0], list | None) else [box]

    @property
    def reference_masks(self) -> list[Path | None]:
        if self.reference_mask is None:
            return [None] * len(self.references)
        return self.reference_mask if isinstance(self.reference_mask, list) else [self.reference_mask]

    @property
    def left_open(self) -> list[str]:
        return [name for name, value in vars(self.settings).items() if value is None]

    @property
    def pictures(self) -> dict[str, list[Path | None]]:
        return super().pictures | {"reference": self.references, "reference_mask": self.reference_masks}

    @property
    def files(self) -> dict[str, list[Path | None]]:
        lora = {"lora": [self.lora]} if self.lora else {}
        return self.pictures | lora | ({"atlas": [self.atlas_file]} if self.is_clip else {})


def _is_box(box: object) -> bool:
    """Whether this is left, top, right, bottom in the right order; the picture's size is not checked."""
    if not (isinstance(box, list) and len(box) == 4 and all(isinstance(side, int) for side in box)):
        return False
    left, top, right, bottom = box
    return 0 <= left < right and 0 <= top < bottom
