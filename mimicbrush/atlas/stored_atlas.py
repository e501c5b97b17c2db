"""Read and write atlases: those that this room trains, and checkpoints of the published method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from mimicbrush.atlas.config import ATLAS_FILE
from mimicbrush.atlas.grid_atlas import GridAtlas, GridAtlasSizes
from mimicbrush.atlas.layered_atlas import ClipShape, CoordinateMlp, LayeredAtlas, PublishedAtlas
from mimicbrush.errors import UserError
from mimicbrush.files import sha256, whole
from mimicbrush.tensor_files import torch_load, torch_save

KIND = "mimicbrush grid atlas"
OFFICIAL_KEYS = {
    "foreground_mapping": "model_F_mapping1_state_dict",
    "background_mapping": "model_F_mapping2_state_dict",
    "atlas": "F_atlas_state_dict",
    "opacity_network": "model_F_alpha_state_dict",
}
"""Networks of `PublishedAtlas` -> keys of an official checkpoint."""
OUTPUTS = {"foreground_mapping": (3, 2), "background_mapping": (3, 2), "atlas": (2, 3), "opacity_network": (3, 1)}
"""Numbers of inputs and outputs of each."""
SMALLEST_PSNR = 16.0
"""An official checkpoint does not say which clip it belongs to; one that reconstructs a clip less well is refused."""
PSNR_MARGIN = 3.0
"""A trained atlas may reconstruct its clip less well by this many dB than when it was trained."""


@dataclass(frozen=True, eq=False)
class AtlasFile:
    """An atlas that was read, with what its file says of the clip."""

    path: Path
    network: LayeredAtlas
    clip: ClipShape | None = None
    """None in an official checkpoint, which does not say it."""
    psnr: float | None = None
    """How well it reconstructed its clip, in dB."""

    @property
    def digest(self) -> str:
        return sha256(self.path)[:16]

    def network_for(self, clip: ClipShape) -> LayeredAtlas:
        """The networks, for a clip of this shape; raises UserError if it is not the atlas's."""
        if self.clip is not None and self.clip != clip:
            raise UserError(
                f"{self.path}: the atlas of a clip of {self.clip}, and the source has {clip}; give the clip from which"
                " it was made, in that size, or train another atlas, with --short_side and --num_frames as large"
            )
        return self.network

    def check_reconstruction(self, reconstruction: Tensor, source: Tensor) -> None:
        """Raise UserError unless the atlas reconstructs this source about as well as its own clip."""
        found = psnr_of(reconstruction, source)
        needed = SMALLEST_PSNR if self.psnr is None else self.psnr - PSNR_MARGIN
        if found < needed:
            raise UserError(
                f"{self.path}: reconstructs the source with {found:.1f} dB, expected at least {needed:.1f}; give the"
                " clip from which it was made, or train another atlas"
            )


def open_atlas(path: Path) -> AtlasFile:
    """Read an atlas: a folder of `python -m mimicbrush.atlas`, its file, or a checkpoint of the published method.

    Raises UserError if there is none, or it is damaged.
    """
    if path.is_dir():
        path = path / ATLAS_FILE
        if not path.is_file():
            raise UserError(
                f"{path.parent}: holds no finished atlas ({ATLAS_FILE}); train one with python -m mimicbrush.atlas"
                f" --clip CLIP --output {path.parent}"
            )
    content = torch_load(path)
    if isinstance(content, Mapping) and content.get("kind") == KIND:
        sizes = GridAtlasSizes(ClipShape(*content["clip"]), tuple(content["scales"]))
        network = GridAtlas(sizes)
        network.load_state_dict(content["weights"])
        return AtlasFile(path, network.requires_grad_(False), sizes.clip, content["psnr"])
    return AtlasFile(path, read_published(content, path))


def save_atlas(atlas: GridAtlas, folder: Path, *, psnr: float) -> Path:
    """Write a trained atlas into its folder; psnr: of the clip that it reconstructs, in dB."""
    sizes, path = atlas.sizes, folder / ATLAS_FILE
    content = {"kind": KIND, "clip": list(sizes.clip), "scales": list(sizes.scales)}
    with whole(path) as partial:
        torch_save(content | {"psnr": psnr, "weights": atlas.state_dict()}, partial)
    return path


def psnr_of(reconstruction: Tensor, source: Tensor) -> float:
    """Peak signal-to-noise ratio in dB of all frames together."""
    return float(-10 * torch.log10((reconstruction - source).square().mean().clamp(min=1e-10)))


def read_published(content: object, path: Path) -> PublishedAtlas:
    """Build the networks of an official checkpoint; sizes are those of its tensors."""
    missing = [key for key in OFFICIAL_KEYS.values() if not isinstance(content, Mapping) or key not in content]
    if missing:
        raise UserError(f"{path}: lacks {missing[0]}, expected the checkpoint of a layered neural atlas")
    networks = {name: _mlp(content[key], *OUTPUTS[name], f"{path}: {key}") for name, key in OFFICIAL_KEYS.items()}
    return PublishedAtlas(**networks).requires_grad_(False)


def _mlp(tensors: Mapping[str, Tensor], num_in: int, num_out: int, where: str) -> CoordinateMlp:
    """Build a network from its tensors, named hidden.<number>.weight and hidden.<number>.bias."""
    weights = [tensors[name] for number in range(len(tensors)) if (name := f"hidden.{number}.weight") in tensors]
    if len(weights) < 2:
        raise UserError(f"{where} holds no hidden layers; expected those of a layered neural atlas")
    width, num_encoded = weights[0].shape
    network = CoordinateMlp(
        num_in,
        num_out,
        width=width,
        num_layers=len(weights),
        num_frequencies=0 if num_encoded == num_in else num_encoded // (2 * num_in),
        skips=[number for number, weight in enumerate(weights) if number and weight.shape[1] > width],
    )
    try:
        network.load_state_dict(tensors)
    except RuntimeError:
        raise UserError(f"{where} has tensors of unexpected sizes; expected those of a layered neural atlas") from None
    return network
