"""Configuration of `python -m mimicbrush.edit`."""

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
    """The weights to edit with, and the device and precision to run them in."""

    weights: str
    """A training run, a folder or hub repository made by `python -m mimicbrush.model.weights convert`, a released
    mimicbrush.bin, or asset:tiny, the small weights shipped with this package."""
    lora: Path | None = None
    """A LoRA file made by `python -m mimicbrush.model.weights lora`, for use with the weights it was trained on."""
    lora_scale: float = 1.0
    """Strength of the LoRA file; 0: no effect, 1: as trained."""
    scheduler: str | None = None
    """Sampler, a scheduler class of diffusers, for instance UniPCMultistepScheduler for fewer steps; null: the sampler
    stored with the weights, or DDIMScheduler."""
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
        faults.refuse()

    @property
    def announcement(self) -> str:
        """The first words of a command that loads weights, printed before heavy imports."""
        weights = self.weights if self.lora is None else f"{self.weights} with {self.lora}"
        place = "a GPU if there is one, else the CPU" if self.device == "auto" else self.device
        return f"loading {weights} on {place}"


@dataclass(frozen=True, kw_only=True)
class EditConfig(LoadConfig, EditSettings):
    """Repaint the masked part of a picture so that it imitates the matching part of a reference."""

    source: Path | None = None
    """The picture to edit. Source, mask, reference and output are needed unless `batch` is given."""
    mask: Path | None = None
    """Mask of the region to repaint: white where the edit happens, of the source's size."""
    reference: list[Path] | Path | None = None
    """The picture to imitate. Several, as '[a.png, b.png]', are placed side by side on one canvas."""
    output: Path | None = None
    """PNG file to write, with 16 bits if the source is a 16-bit PNG. With num_images, -1, -2, ... is added before the
    suffix."""
    batch: Path | None = None
    """CSV with one edit in each row, instead of the four options above: columns source, mask, reference, output, and
    optionally seed, keep_shape, reference_box, reference_mask; paths are relative to the CSV. Rows whose output exists
    are left out, so the same command resumes. Rows with faults are named and skipped; the exit status is then 2."""
    replay: Path | None = None
    """Repeat an edit: a PNG written by this command, whose recorded settings, weights included, are used for all
    options that are not given; usually only output is."""
    reference_box: list[int] | list[list[int] | None] | None = None
    """Box around the object to imitate in the reference: left, top, right, bottom in pixels, as '[10, 20, 200, 180]'.
    For several references one box or null each: '[[10, 20, 200, 180], null]'."""
    reference_mask: Path | list[Path | None] | None = None
    """Mask of the object to imitate in the reference, white on the object. For several references one mask or null
    each: '[null, m.png]'."""
    keep_shape: bool = False
    """Keep the shape of the source's masked object (texture transfer)."""
    num_images: int = 1
    """Number of results, made with seeds seed, seed + 1, ..."""
    seed: int = 0
    """Seed of the noise, 0 or more."""
    grid: bool = False
    """Also write a contact sheet, with -grid before the suffix: source, references with their boxes or masks, and each
    result with its seed."""
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

    @property
    def references(self) -> list[Path]:
        return self.reference if isinstance(self.reference, list) else [self.reference]

    @property
    def boxes(self) -> list[list[int] | None]:
        """One box or None for each reference."""
        box = self.reference_box
        if box is None:
            return [None] * len(self.references)
        return box if box and isinstance(box[0], list | None) else [box]

    @property
    def reference_masks(self) -> list[Path | None]:
        """One mask or None for each reference."""
        if self.reference_mask is None:
            return [None] * len(self.references)
        return self.reference_mask if isinstance(self.reference_mask, list) else [self.reference_mask]

    @property
    def pictures(self) -> dict[str, list[Path | None]]:
        """The pictures to read, by the option that names them."""
        return {
            "source": [self.source],
            "mask": [self.mask],
            "reference": self.references,
            "reference_mask": self.reference_masks,
        }

    @property
    def files(self) -> dict[str, list[Path | None]]:
        """The files that a result depends on, by the option that names them."""
        return self.pictures | ({"lora": [self.lora]} if self.lora else {})

    @property
    def seeds(self) -> list[int]:
        return [self.seed + number for number in range(self.num_images)]

    @property
    def outputs(self) -> list[Path]:
        """One path for each result."""
        if self.num_images == 1:
            return [self.output]
        return [_beside(self.output, str(number + 1)) for number in range(self.num_images)]

    @property
    def singles(self) -> list[EditConfig]:
        """A config for each result alone."""
        return [
            replace(self, seed=seed, num_images=1, output=path, grid=False)
            for seed, path in zip(self.seeds, self.outputs, strict=True)
        ]

    @property
    def written(self) -> list[Path]:
        return [*self.outputs, *([self.sheet] if self.grid else [])]

    @property
    def sheet(self) -> Path:
        """Path of the contact sheet."""
        return _beside(self.output, "grid")


def _is_box(box: object) -> bool:
    """Whether this is left, top, right, bottom in the right order; the picture's size is not checked."""
    if not (isinstance(box, list) and len(box) == 4 and all(isinstance(side, int) for side in box)):
        return False
    left, top, right, bottom = box
    return 0 <= left < right and 0 <= top < bottom


def _beside(path: Path, addition: str) -> Path:
    return path.with_name(f"{path.stem}-{addition}{path.suffix}")
