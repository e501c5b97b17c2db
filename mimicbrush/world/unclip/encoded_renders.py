"""Captioned renders as the U-Net is trained on them: latents and image embeddings, computed once and kept."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor

from mimicbrush.diffusion.latents import encode_mean
from mimicbrush.files import whole
from mimicbrush.hub.unclip_parts import UnclipParts, embed_pictures
from mimicbrush.progress import progress_bar
from mimicbrush.world.clip.captioned_renders import Captioned

PART = 1000
"""Renders in a file."""
BATCH = 50
"""Renders that are encoded together."""


class EncodedRenders(NamedTuple):
    """Renders by what the training needs of them."""

    latents: Tensor
    """(N, 4, h, w), scaled, in half precision."""
    embeddings: Tensor
    """(N, 2, d): of the whole picture, and of the object alone before white."""
    masks: Tensor
    """(N, h, w), true where most of a latent's place shows the object."""
    attributes: Tensor
    """(N, 3), numbers of the classes of `ATTRIBUTES`."""
    captions: list[str]


def encode_renders(folder: Path, renders: Captioned, parts: UnclipParts) -> EncodedRenders:
    """Encode renders, or read what an earlier call with the same arguments left in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    encoded = []
    for first in progress_bar(range(0, len(renders.pixels), PART), desc="encoded renders", unit="thousand"):
        last = min(first + PART, len(renders.pixels))
        path = folder / f"encoded_{first:06d}_{last:06d}.safetensors"
        if not path.is_file():
            pixels, masks = (each[first:last].split(BATCH) for each in (renders.pixels, renders.masks))
            batches = [_encode(*each, parts) for each in zip(pixels, masks, strict=True)]
            fields = {name: torch.cat([batch[name] for batch in batches]).contiguous() for name in batches[0]}
            with whole(path) as partial:
                save_file(fields, partial)
        encoded.append(load_file(path))
    columns = {name: torch.cat([part[name] for part in encoded]) for name in encoded[0]}
    covered = F.adaptive_avg_pool2d(renders.masks[:, None].half(), columns["latents"].shape[-2:])[:, 0]
    return EncodedRenders(**columns, masks=covered > 0.5, attributes=renders.attributes, captions=renders.captions)


@torch.no_grad()
def _encode(pixels: Tensor, masks: Tensor, parts: UnclipParts) -> dict[str, Tensor]:
    pictures, objects = pixels.float() / 255, masks[:, None].float()
    cutouts = pictures * objects + 1 - objects
    embeddings = [embed_pictures(parts, each).float() for each in (pictures, cutouts)]
    return {"latents": encode_mean(parts.vae, pictures).half(), "embeddings": torch.stack(embeddings, dim=1)}
