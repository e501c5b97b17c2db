"""Settings of `python -m mimicbrush.edit`."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from mimicbrush.editors.mimicbrush.settings import EditSettings
from mimicbrush.errors import Faults
from mimicbrush.requests import Precision


@dataclass(frozen=True, kw_only=True)
class LoadConfig:
    """The weights that edit, and the machine they run on."""

    weights: str
    """A training run, a folder or hub repository made by `python -m mimicbrush.model.weights convert`, a released
    mimicbrush.bin, or asset:tiny, the small weights that come with the package."""
    lora: Path | None = None
    """A LoRA file made by `python -m mimicbrush.model.weights lora`, whose base the weights are."""
    lora_scale: float = 1.0
    """How far the LoRA file changes the weights: 0 not at all, 1 as far as it was trained."""
    scheduler: str | None = None
    """Sampler: a class of diffusers, for instance UniPCMultistepScheduler for fewer steps; null: the weights' own,
    DDIMScheduler unless they say otherwise."""
    use_ema: bool = True
    """Of a training run, the averaged weights."""
    device: str = "auto"
    """auto takes a GPU where there is one."""
    precision: Precision = "auto"
    """Of the computation; auto is float16 on a GPU, as in the release, and float32 elsewhere."""
    offload: Literal["none", "model", "sequential"] = "none"
    """Weights wait in the CPU's memory and go to the GPU a model or a layer at a time: less memory, and slower."""
    vae_tiling: bool = False
    """Let the autoencoder work on overlapping tiles: less memory, and slightly other results."""

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
        faults.refuse()


@dataclass(frozen=True, kw_only=True)
class EditConfig(LoadConfig, EditSettings):
    """Repaint the masked part of a picture so that it imitates the matching part of a reference."""

    source: Path | None = None
    """The picture to edit."""
    mask: Path | None = None
    """White where the edit happens; of the source's size."""
    reference: list[Path] | Path | None = None
    """The picture to imitate; several, '[a.png, b.png]', are put side by side on one canvas."""
    output: Path | None = None
    """PNG to write, of 16 bits where the source is a PNG of 16; several results get -1, -2, ... before the suffix."""
    batch: Path | None = None
    """A CSV with columns source, mask, reference, output, and optionally seed, keep_shape, reference_box and
    reference_mask, in place of the four above; paths are relative to it, and several references stand there as here.
    Rows whose output is there are left out, so the same command goes on. Rows that cannot be edited are skipped, and
    named as soon as that is known; the exit status is 2 as long as there are such rows."""
    replay: Path | None = None
    """A PNG written by this command: its settings stand for all that is not given, which then is output alone."""
    reference_box: list[int] | list[list[int] | None] | None = None
    """Left, top, right, bottom of what is meant in the reference, in pixels: '[10, 20, 200, 180]'; of several, one
    each: '[[10, 20, 200, 180], null]'."""
    reference_mask: Path | list[Path | None] | None = None
    """White where the reference shows what is meant; of several, one each: '[null, m.png]'."""
    keep_shape: bool = False
    """Follow the shape of what is there (texture transfer)."""
    num_images: int = 1
    """Results, with seeds seed, seed + 1, ..."""
    seed: int = 0
    """Of the noise."""
    grid: bool = False
    """Also write a contact sheet, -grid before the suffix: source, references, what is meant in them, and each
    result under its seed."""
    force: bool = False
    """Overwrite existing files."""

    def __post_init__(self) -> None:
        faults = Faults()
        with faults.collect():
            LoadConfig.__post_init__(self)
        missing = [name for name in ("source", "mask", "reference", "output") if getattr(self, name) is None]
        faults.check(
            self.batch is not None or not missing,
            f"{', '.join(missing)} not given; give them, or a CSV of edits as batch",
        )
        faults.check(
            self.batch is None or len(missing) == 4,
            "batch names sources, masks, references and outputs; give it alone",
        )
        faults.check(
            self.output is None or self.output.suffix.lower() == ".png",
            f"output is {self.output}, expected a name ending in .png",
        )
        faults.check(self.num_images >= 1, f"num_images is {self.num_images}, expected at least 1")
        last_seed = 2**63 - max(1, self.num_images)
        faults.check(
            0 <= self.seed <= last_seed, f"seed is {self.seed}, expected 0 to 2^63 - {max(1, self.num_images)}"
        )
        with faults.collect():
            EditSettings.__post_init__(self)
        if self.batch is None and self.reference is not None:
            self._check_references(faults)
        if self.batch is None and not missing:
            self._check_outputs(faults)
        faults.refuse()

    def _check_outputs(self, faults: Faults) -> None:
        written = {path.resolve() for path in self.written}
        for option, paths in self.pictures.items():
            twice = next((path for path in paths if path and path.resolve() in written), None)
            faults.check(twice is None, f"output would overwrite {option} {twice}; choose another output")

    def _check_references(self, faults: Faults) -> None:
        for name, given in (("reference_box", self.boxes), ("reference_mask", self.reference_masks)):
            faults.check(
                len(given) == len(self.references),
                f"{len(given)} of {name} for {len(self.references)} references; give one each, or null",
            )
        for box in filter(None, self.boxes):
            faults.check(_is_box(box), f"reference_box is {box}, expected whole left, top, right, bottom in pixels")

    @property
    def references(self) -> list[Path]:
        return self.reference if isinstance(self.reference, list) else [self.reference]

    @property
    def boxes(self) -> list[list[int] | None]:
        """One for each reference."""
        box = self.reference_box
        if box is None:
            return [None] * len(self.references)
        return box if box and isinstance(box[0], list | None) else [box]

    @property
    def reference_masks(self) -> list[Path | None]:
        """One for each reference."""
        if self.reference_mask is None:
            return [None] * len(self.references)
        return self.reference_mask if isinstance(self.reference_mask, list) else [self.reference_mask]

    @property
    def pictures(self) -> dict[str, list[Path | None]]:
        """The pictures that are read, by the option that names them."""
        return {
            "source": [self.source],
            "mask": [self.mask],
            "reference": self.references,
            "reference_mask": self.reference_masks,
        }

    @property
    def files(self) -> dict[str, list[Path | None]]:
        """The files that a result is made of, by the option that names them."""
        return self.pictures | ({"lora": [self.lora]} if self.lora else {})

    @property
    def seeds(self) -> list[int]:
        return [self.seed + number for number in range(self.num_images)]

    @property
    def outputs(self) -> list[Path]:
        """One for each result."""
        if self.num_images == 1:
            return [self.output]
        return [_beside(self.output, str(number + 1)) for number in range(self.num_images)]

    @property
    def singles(self) -> list[EditConfig]:
        """Each result as an edit of its own."""
        return [
            replace(self, seed=seed, num_images=1, output=path, grid=False)
            for seed, path in zip(self.seeds, self.outputs, strict=True)
        ]

    @property
    def written(self) -> list[Path]:
        return [*self.outputs, *([self.sheet] if self.grid else [])]

    @property
    def sheet(self) -> Path:
        """The contact sheet."""
        return _beside(self.output, "grid")


def _is_box(box: object) -> bool:
    """Whether these are the sides of a box, wherever the picture ends."""
    if not (isinstance(box, list) and len(box) == 4 and all(isinstance(side, int) for side in box)):
        return False
    left, top, right, bottom = box
    return 0 <= left < right and 0 <= top < bottom


def _beside(path: Path, addition: str) -> Path:
    return path.with_name(f"{path.stem}-{addition}{path.suffix}")
