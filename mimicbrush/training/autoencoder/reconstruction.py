"""Measure how well an autoencoder reconstructs held-out pictures, and the objects in them."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from diffusers import AutoencoderKL
from torch import Tensor

from mimicbrush.data.decode import decode_image
from mimicbrush.data.shard_index import list_shards
from mimicbrush.data.shards import read_pairs
from mimicbrush.errors import UserError
from mimicbrush.files import PICTURE_SUFFIXES
from mimicbrush.pictures.geometry import letterbox
from mimicbrush.pictures.reading import read_image
from mimicbrush.training.autoencoder.config import HeldoutPictures


class Squares(NamedTuple):
    """Pictures scaled to squares with white padding, and where their objects are."""

    pictures: Tensor
    """(N, 3, S, S) in [0, 1]."""
    objects: Tensor
    """(N, 1, S, S) bool; all False where no object is known."""


def read_squares(heldout: HeldoutPictures) -> Squares:
    """Read the sources of shards with their objects, or the picture files of a folder.

    Raises UserError if there are none.
    """
    if next(heldout.folder.glob("*.tar"), None):
        pairs = list(read_pairs(list_shards(heldout.folder)))
        pictures = [decode_image(pair.source, "RGB") for pair in pairs]
        objects = [sum((decode_image(mask, "L") for mask in pair.masks), torch.zeros(1, 1, 1)) for pair in pairs]
    else:
        paths = sorted(path for path in heldout.folder.rglob("*") if path.suffix.lower() in PICTURE_SUFFIXES)
        pictures, objects = [read_image(path) for path in paths], [torch.zeros(1, 1, 1)] * len(paths)
    if not pictures:
        raise UserError(f"{heldout.folder}: no shards and no pictures; give a folder that has some")
    objects = [each.expand(1, *picture.shape[-2:]) for each, picture in zip(objects, pictures, strict=True)]
    return Squares(
        torch.stack([letterbox(picture, heldout.size, fill=1.0)[0] for picture in pictures]),
        torch.stack([letterbox(each, heldout.size, fill=0.0)[0] > 0.5 for each in objects]),
    )


def measure_reconstruction(autoencoder: AutoencoderKL, squares: Squares) -> dict[str, float]:
    """Mean PSNR in dB over all pictures, and over those with objects inside the objects."""
    inside = squares.objects.flatten(1).any(dim=1)
    measured = {"pictures": len(squares.pictures), "psnr_db": reconstruction_psnr(autoencoder, squares.pictures)}
    if inside.any():
        pictures, objects = squares.pictures[inside], squares.objects[inside]
        measured["psnr_inside_objects_db"] = reconstruction_psnr(autoencoder, pictures, inside=objects)
    return measured


@torch.no_grad()
def reconstruction_psnr(autoencoder: AutoencoderKL, images: Tensor, *, inside: Tensor | None = None) -> float:
    """Mean PSNR in dB over pictures (N, 3, S, S) in [0, 1], through the posterior's mode and 8-bit rounding.

    inside: (N, 1, S, S) bool, the pixels of each picture that are compared; None: all.
    """
    inside = torch.ones_like(images[:, :1], dtype=torch.bool) if inside is None else inside
    values = []
    for batch, compared in zip(images.split(16), inside.split(16), strict=True):
        decoded = autoencoder.decode(autoencoder.encode(batch * 2 - 1).latent_dist.mode()).sample
        decoded = ((decoded / 2 + 0.5).clamp(0, 1) * 255).round() / 255
        squared = (decoded - batch).pow(2).mean(dim=1, keepdim=True) * compared
        errors = squared.flatten(1).sum(dim=1) / compared.flatten(1).sum(dim=1)
        values += [-10 * math.log10(max(error, 1e-10)) for error in errors.tolist()]
    return sum(values) / len(values)


@torch.no_grad()
def latent_deviation(autoencoder: AutoencoderKL, images: Tensor) -> float:
    """Standard deviation of all latents: its inverse is the scaling factor."""
    latents = [autoencoder.encode(batch * 2 - 1).latent_dist.sample() for batch in images.split(16)]
    return torch.cat(latents).std().item()
