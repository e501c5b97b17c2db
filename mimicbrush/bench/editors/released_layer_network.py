"""The released network and optimiser of Text2LIVE written out, for comparison with ours; nothing else uses them.

Channels come first in memory, every convolution is padded, also one of a single pixel, colours are changed from pixel
to pixel, and the optimiser goes from weight to weight.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn import Parameter

from mimicbrush.editors.text2live.layer_network import SLOPE, ConvBlock, LayerNetwork
from mimicbrush.editors.text2live.madgrad import Madgrad


class ReleasedLayerNetwork(LayerNetwork):
    """The same weights as `LayerNetwork`, and the same canvas, as the released code computes them."""

    def draw(self, picture: Tensor) -> Tensor:
        drawn = self.head(self._hourglass(picture, 0))
        colours = (drawn[:, :3].permute(0, 2, 3, 1) @ self.colour_matrix.T).permute(0, 3, 1, 2)
        return torch.cat([colours, drawn[:, 3:]], dim=1)

    def _hourglass(self, features: Tensor, number: int) -> Tensor:
        scale = self.scales[number]
        deeper = _run(scale.down2, _run(scale.down1, features))
        if number + 1 < len(self.scales):
            deeper = self._hourglass(deeper, number + 1)
        deeper = F.interpolate(deeper, scale_factor=2, mode="bilinear", align_corners=False)
        merged = scale.merge(_join(_run(scale.skip, features), deeper))
        return _run(scale.up2, _run(scale.up1, merged))


class ReleasedMadgrad(Madgrad):
    """The same steps as `Madgrad`, weight by weight."""

    def _step_group(self, group: dict, parameters: list[Parameter]) -> None:
        for parameter in parameters:
            state = self._state_of(parameter)
            weight = (group["lr"] + group["eps"]) * (float(state["step"]) + 1) ** 0.5
            gradient = parameter.grad.add(parameter, alpha=group["weight_decay"])
            state["sum_of_squares"].addcmul_(gradient, gradient, value=weight)
            state["sum"].add_(gradient, alpha=weight)
            root = state["sum_of_squares"].pow(1 / 3).add_(group["eps"])
            target = state["start"].addcdiv(state["sum"], root, value=-1)
            parameter.mul_(group["momentum"]).add_(target, alpha=1 - group["momentum"])
            state["step"] = state["step"] + 1


def _run(block: ConvBlock, features: Tensor) -> Tensor:
    return F.leaky_relu(block.norm(block.conv(features)), SLOPE)


def _join(skip: Tensor, deeper: Tensor) -> Tensor:
    """Concatenate two branches, both cut at their centres to the smaller height and width."""
    height, width = (min(skip.shape[axis], deeper.shape[axis]) for axis in (2, 3))
    cut = []
    for features in (skip, deeper):
        top, left = (features.shape[2] - height) // 2, (features.shape[3] - width) // 2
        cut.append(features[:, :, top : top + height, left : left + width])
    return torch.cat(cut, dim=1)
