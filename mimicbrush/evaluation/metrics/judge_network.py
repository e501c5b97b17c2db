"""The judge: a classifier that names the object and the material in a picture of the small world."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from mimicbrush.errors import UserError, first_line
from mimicbrush.files import read_object, whole, write_json
from mimicbrush.pictures.geometry import resize
from mimicbrush.pictures.mask_geometry import longer_side, mask_box

MODEL_TYPE = "judge"
CONFIG, PREPROCESSING, WEIGHTS = "config.json", "preprocessor_config.json", "model.safetensors"
SIZE = 64
"""Side in pixels of the crops that a new judge sees."""
CONTEXT = 1.2
"""Side of its crops divided by the longer side of the object's box."""
CHANNELS = (32, 32, 64, 128, 128)
"""Channels after the first convolution, and after each block."""


class Named(NamedTuple):
    """The names that the judge gives to a picture."""

    object: str
    material: str


class Judge(nn.Module):
    """Classify crops around an object twice: by its shape and by its material.

    objects, materials: names of the classes; size, context: the crops that it was trained on, see `crop_around`.
    """

    def __init__(
        self, objects: Sequence[str], materials: Sequence[str], *, size: int = SIZE, context: float = CONTEXT
    ) -> None:
        super().__init__()
        self.objects, self.materials = tuple(objects), tuple(materials)
        self.size, self.context = size, context
        self.stem = nn.Sequential(
            nn.Conv2d(3, CHANNELS[0], 4, stride=2, padding=1), nn.BatchNorm2d(CHANNELS[0]), nn.ReLU()
        )
        self.blocks = nn.Sequential(
            Block(CHANNELS[0], CHANNELS[1], 1),
            Block(CHANNELS[1], CHANNELS[2], 2),
            Block(CHANNELS[2], CHANNELS[3], 2),
            Block(CHANNELS[3], CHANNELS[4], 2),
        )
        self.object_head = nn.Linear(2 * CHANNELS[-1], len(self.objects))
        self.material_head = nn.Linear(2 * CHANNELS[-1], len(self.materials))

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits of objects and of materials: crops (B, 3, size, size) in [0, 1]."""
        features = self.blocks(self.stem(crops * 2 - 1)).flatten(2)
        pooled = torch.cat([features.mean(dim=2), features.amax(dim=2)], dim=1)
        return self.object_head(pooled), self.material_head(pooled)

    @torch.no_grad()
    def name(self, crops: Tensor) -> list[Named]:
        """Name the object and the material of each crop."""
        objects, materials = (logits.argmax(dim=1).tolist() for logits in self(crops))
        return [
            Named(self.objects[object_], self.materials[material])
            for object_, material in zip(objects, materials, strict=True)
        ]


class Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut."""

    def __init__(self, channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(channels, out_channels, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
        )
        is_same = stride == 1 and channels == out_channels
        self.shortcut = (
            nn.Identity() if is_same else nn.Sequential(nn.AvgPool2d(stride), nn.Conv2d(channels, out_channels, 1))
        )

    def forward(self, inputs: Tensor) -> Tensor:
        return (self.shortcut(inputs) + self.convolutions(inputs)).relu()


def crop_around(picture: NDArray[np.uint8], mask: NDArray[np.bool_], *, size: int, context: float) -> Tensor:
    """Crop a square around an object and scale it: (H, W, 3) of 8 bits -> (3, size, size) in [0, 1].

    mask: (H, W), True on the object; context: side of the square divided by the longer side of the mask's box. Beyond
    the picture's border, its edge is repeated.
    """
    rows, columns = mask_box(mask)
    side = math.ceil(context * longer_side((rows, columns)))
    top, left = (edge.start + edge.stop - side + 1 >> 1 for edge in (rows, columns))
    height, width = mask.shape
    pixels = torch.from_numpy(picture).permute(2, 0, 1).float() / 255
    padding = (max(0, -left), max(0, left + side - width), max(0, -top), max(0, top + side - height))
    padded = F.pad(pixels[None], padding, mode="replicate")[0]
    top, left = top + padding[2], left + padding[0]
    return resize(padded[:, top : top + side, left : left + side], size, size)


def save_judge(judge: Judge, folder: Path) -> None:
    """Write a folder for `load_judge`, with weights in half precision."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        name: (tensor.half() if tensor.is_floating_point() else tensor).contiguous()
        for name, tensor in judge.state_dict().items()
    }
    with whole(folder / WEIGHTS) as partial:
        save_file(tensors, partial)
    names = {"objects": list(judge.objects), "materials": list(judge.materials)}
    write_json({"model_type": MODEL_TYPE, **names}, folder / CONFIG)
    write_json({"size": judge.size, "context": judge.context}, folder / PREPROCESSING)


def load_judge(folder: Path) -> Judge:
    """Load a judge in float32 for inference; raises UserError for a damaged folder, or one of another network."""
    fields = read_object(folder / CONFIG)
    if fields.get("model_type") != MODEL_TYPE or not {"objects", "materials"} <= fields.keys():
        raise UserError(f"{folder / CONFIG} describes no judge; give asset:judge or one that you trained")
    crops = read_object(folder / PREPROCESSING, "size", "context")
    judge = Judge(fields["objects"], fields["materials"], size=crops["size"], context=crops["context"])
    try:
        judge.load_state_dict(load_file(folder / WEIGHTS))
    except (SafetensorError, OSError, RuntimeError) as error:
        raise UserError(f"{folder / WEIGHTS} could not be loaded ({first_line(error)}); copy it again") from None
    return judge.eval().requires_grad_(False)
