"""LPIPS (Zhang et al., 2018) without torchvision: its feature stacks written out, the linear heads of torchmetrics."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torchmetrics
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import conv2d

from mimicbrush.errors import UserError
from mimicbrush.evaluation.metrics.pretrained import exactly
from mimicbrush.tensor_files import torch_load

Backbone = Literal["alexnet", "vgg16"]
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""LPIPS's normalisation of RGB in [-1, 1]: ImageNet's mean and standard deviation."""
TAPS = {"alexnet": (1, 4, 7, 9, 11), "vgg16": (3, 8, 15, 22, 29)}
"""The layers, all ReLUs, that are compared."""
SMALLEST = {"alexnet": 31, "vgg16": 16}
"""Pixels of a side that still leave one to the last layer."""
HEADS = {"alexnet": "alex", "vgg16": "vgg"}


class Lpips:
    """The perceptual distance of two pictures: 0 for equal ones."""

    def __init__(self, backbone: Backbone, path: Path, device: torch.device) -> None:
        self.device = device
        self.taps = TAPS[backbone]
        self.layers = load_features(backbone, path).to(device)
        self.heads = [head.to(device) for head in load_heads(backbone)]

    @exactly()
    def distance(self, first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
        """Of two pictures (H, W, 3) of one size, each side at least SMALLEST."""
        pair = torch.from_numpy(np.stack([first, second])).to(self.device).movedim(3, 1) / 127.5 - 1
        shift, scale = (torch.tensor(values, device=self.device).view(3, 1, 1) for values in (SHIFT, SCALE))
        states, heads, total = (pair - shift) / scale, iter(self.heads), 0.0
        for number, layer in enumerate(self.layers):
            states = layer(states)
            if number in self.taps:
                one, other = _unit_channels(states)
                total += conv2d((one - other).square()[None], next(heads)).mean().item()
        return total


def load_features(backbone: Backbone, path: Path) -> nn.Sequential:
    """The convolutions of torchvision's weight file, or of one that has their tensors; raises UserError otherwise."""
    layers = STACKS[backbone]()
    try:
        weights = torch_load(path)
        layers.load_state_dict({name: weights[f"features.{name}"] for name in layers.state_dict()})
    except Exception as error:  # torch raises half a dozen kinds for a file that is no checkpoint
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"{path} does not hold torchvision's {backbone} ({reason}); fetch it again") from None
    return layers.eval().requires_grad_(False)


def load_heads(backbone: Backbone) -> list[Tensor]:
    """LPIPS's own weights, one (1, C, 1, 1) for each layer that is compared, as they come with torchmetrics."""
    folder = Path(torchmetrics.__file__).parent / "functional" / "image" / "lpips_models"
    weights = torch_load(folder / f"{HEADS[backbone]}.pth")
    return [weights[f"lin{number}.model.1.weight"] for number in range(len(TAPS[backbone]))]


def alexnet_layers() -> nn.Sequential:
    """torchvision's `alexnet().features` up to the last ReLU."""
    return nn.Sequential(
        nn.Conv2d(3, 64, 11, stride=4, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(64, 192, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(192, 384, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(256, 256, 3, padding=1),
        nn.ReLU(),
    )


def vgg16_layers() -> nn.Sequential:
    """torchvision's `vgg16().features` up to the last ReLU: blocks of 3 x 3 convolutions with pooling between."""
    layers: list[nn.Module] = []
    width = 3
    for block in ([64] * 2, [128] * 2, [256] * 3, [512] * 3, [512] * 3):
        for channels in block:
            # In place: at full resolution the states are the largest thing in memory.
            layers += [nn.Conv2d(width, channels, 3, padding=1), nn.ReLU(inplace=True)]
            width = channels
        layers.append(nn.MaxPool2d(2, 2))
    return nn.Sequential(*layers[:-1])


STACKS = {"alexnet": alexnet_layers, "vgg16": vgg16_layers}


def _unit_channels(states: Tensor) -> Tensor:
    # As LPIPS is defined in torchmetrics: the small number lies under the root.
    return states / torch.sqrt(1e-8 + states.square().sum(dim=1, keepdim=True))
