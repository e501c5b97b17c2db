"""LPIPS (Zhang et al., 2018) without torchvision: the backbones are defined here, the heads come with torchmetrics."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torchmetrics
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import conv2d

from mimicbrush.errors import UserError, first_line
from mimicbrush.evaluation.metrics.network_helpers import exactly
from mimicbrush.tensor_files import torch_load

Backbone = Literal["alexnet", "vgg16"]
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""Normalisation of RGB in [-1, 1]: ImageNet's mean and standard deviation."""
TAPS = {"alexnet": (1, 4, 7, 9, 11), "vgg16": (3, 8, 15, 22, 29)}
"""Numbers of the layers that are compared; all are ReLUs."""
SMALLEST = {"alexnet": 31, "vgg16": 16}
"""Smallest side of a picture, in pixels, that leaves one pixel at the last layer."""
HEADS = {"alexnet": "alex", "vgg16": "vgg"}


class Lpips:
    """Perceptual distance of two pictures; 0 for equal ones."""

    def __init__(self, backbone: Backbone, path: Path, device: torch.device) -> None:
        self.device = device
        self.taps = TAPS[backbone]
        self.layers = load_features(backbone, path).to(device)
        self.heads = [head.to(device) for head in load_heads(backbone)]

    @exactly()
    def distance(self, first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
        """Compute the distance of two pictures (H, W, 3) of the same size, each side at least SMALLEST."""
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
    """Load the convolutions from a weight file of torchvision; raises UserError if their tensors are missing."""
    layers = STACKS[backbone]()
    try:
        weights = torch_load(path)
        layers.load_state_dict({name: weights[f"features.{name}"] for name in layers.state_dict()})
    except Exception as error:  # torch raises many kinds of errors for a file that is no checkpoint
        reason = first_line(error)
        raise UserError(f"{path} does not hold torchvision's {backbone} ({reason}); fetch it again") from None
    return layers.eval().requires_grad_(False)


def load_heads(backbone: Backbone) -> list[Tensor]:
    """Load LPIPS's own weights from torchmetrics: one (1, C, 1, 1) for each layer that is compared."""
    folder = Path(torchmetrics.__file__).parent / "functional" / "image" / "lpips_models"
    weights = torch_load(folder / f"{HEADS[backbone]}.pth")
    return [weights[f"lin{number}.model.1.weight"] for number in range(len(TAPS[backbone]))]


def alexnet_layers() -> nn.Sequential:
    """Layers of torchvision's `alexnet().features` up to the last ReLU."""
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
    """Layers of torchvision's `vgg16().features` up to the last ReLU: blocks of 3 x 3 convolutions, then pooling."""
    layers: list[nn.Module] = []
    width = 3
    for block in ([64] * 2, [128] * 2, [256] * 3, [512] * 3, [512] * 3):
        for channels in block:
            # In place, because at full resolution the activations need the most memory.
            layers += [nn.Conv2d(width, channels, 3, padding=1), nn.ReLU(inplace=True)]
            width = channels
        layers.append(nn.MaxPool2d(2, 2))
    return nn.Sequential(*layers[:-1])


STACKS = {"alexnet": alexnet_layers, "vgg16": vgg16_layers}


def _unit_channels(states: Tensor) -> Tensor:
    # As in torchmetrics, the small number is added under the root.
    return states / torch.sqrt(1e-8 + states.square().sum(dim=1, keepdim=True))
