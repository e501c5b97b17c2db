"""Edit one picture from the shell.

python -m mimicbrush.edit --weights runs/demo/train --source s.png --mask m.png --reference r.png --output e.png
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from mimicbrush.config import parse_config
from mimicbrush.editors.mimicbrush import Geometry, Precision
from mimicbrush.errors import UserError, run_command
from mimicbrush.files import whole
from mimicbrush.imaging import read_image, read_mask, to_pil
from mimicbrush.pipeline import MimicBrushPipeline


@dataclass(frozen=True, kw_only=True)
class EditConfig:
    """Repaint the masked part of a picture so that it imitates the matching part of a reference."""

    weights: str
    """A training run, a folder or hub repository made by `python -m mimicbrush.model.weights convert`, or a released
    mimicbrush.bin."""
    source: Path
    """The picture to edit."""
    mask: Path
    """White where the edit happens; of the source's size."""
    reference: Path
    """The picture to imitate."""
    output: Path
    """PNG to write; several results get -1, -2, ... before the suffix."""
    keep_shape: bool = False
    """Follow the shape of what is there (texture transfer)."""
    num_inference_steps: int = 50
    """Sampling steps."""
    guidance_scale: float = 5.0
    """How strongly to follow the reference; 1 or less is no guidance."""
    scheduler: str = "DDIMScheduler"
    """Sampler: a class of diffusers, for instance UniPCMultistepScheduler for fewer steps."""
    geometry: Geometry = "exact"
    """How pictures are scaled and pasted; `released` as the released code does, to reproduce its results."""
    use_ema: bool = True
    """Of a training run, the averaged weights."""
    device: str = "auto"
    """auto takes a GPU where there is one."""
    precision: Precision = "auto"
    """Of the computation; auto is float16 on a GPU, as in the release, and float32 elsewhere."""
    num_images: int = 1
    """Results, with seeds seed, seed + 1, ..."""
    seed: int = 0
    """Of the noise."""
    force: bool = False
    """Overwrite existing files."""

    def __post_init__(self) -> None:
        if self.output.suffix.lower() != ".png":
            raise ValueError(f"output is {self.output}, expected a name ending in .png")
        if not 0 <= self.seed < 2**63 - self.num_images:
            raise ValueError(f"seed is {self.seed}, expected 0 to 2^63")
        if self.num_images < 1:
            raise ValueError(f"num_images is {self.num_images}, expected at least 1")


def main() -> None:
    config = parse_config(EditConfig)
    outputs = _outputs(config)
    pictures = {
        "image": to_pil(read_image(config.source)),
        "mask_image": to_pil(read_mask(config.mask)),
        "reference_image": to_pil(read_image(config.reference)),
    }
    pipe = MimicBrushPipeline.from_pretrained(
        config.weights, use_ema=config.use_ema, device=config.device, precision=config.precision
    )
    results = pipe(
        **pictures,
        keep_shape=config.keep_shape,
        num_inference_steps=config.num_inference_steps,
        guidance_scale=config.guidance_scale,
        scheduler=config.scheduler,
        geometry=config.geometry,
        num_images_per_prompt=config.num_images,
        seed=config.seed,
    )
    for number, (edited, path) in enumerate(zip(results, outputs, strict=True)):
        _save(edited, path, config, config.seed + number)
        print(f"edited with seed {config.seed + number} -> {path}")


def _outputs(config: EditConfig) -> list[Path]:
    if config.num_images == 1:
        paths = [config.output]
    else:
        stem, suffix = config.output.stem, config.output.suffix
        paths = [config.output.with_name(f"{stem}-{number + 1}{suffix}") for number in range(config.num_images)]
    existing = [str(path) for path in paths if path.exists()]
    if existing and not config.force:
        raise UserError(f"{', '.join(existing)} exists; choose another --output or pass --force true")
    return paths


def _save(edited: Image.Image, path: Path, config: EditConfig, seed: int) -> None:
    """The settings travel in the PNG, so that a result can be made again."""
    settings = {name: str(value) if isinstance(value, Path) else value for name, value in asdict(config).items()}
    note = PngInfo()
    note.add_text("mimicbrush", json.dumps(settings | {"seed": seed, "num_images": 1}))
    with whole(path) as partial:
        edited.save(partial, pnginfo=note)


if __name__ == "__main__":
    run_command(main)
