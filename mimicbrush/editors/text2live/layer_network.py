"""The network that draws the layer: an hourglass with skip connections, trained anew for each edit."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mimicbrush.editors.text2live.settings import Text2LiveSettings

SLOPE = 0.2
"""Slope of the leaky ReLU."""
COLOUR_AXES = ((0.26, 0.09, 0.02), (0.27, 0.0, -0.05), (0.27, -0.09, 0.03))
"""Principal axes of the colours of natural pictures, one a column; the network's colours are their coordinates."""
CANVAS_SCALE = 10.0
"""Factor of the canvas's numbers, by which the optimiser moves them about as fast as the network's colours."""
NUM_CANVAS_LEVELS = 5
"""Pictures whose sum the canvas is, each half as large as the one before, so that wide areas change together."""
COLOUR_SCALE = 10.0
"""Factor of the numbers of the two colours, for the same reason."""
NETWORK_MIX, CANVAS_MIX = 1.0, 40.0
"""Factors of the network's and of the canvas's part in how the two colours are mixed."""
SHARE_RANGE, COLOUR_RANGE, OPACITY_RANGE = (0.05, 0.95), (0.03, 0.97), (0.03, 0.97)
"""Ranges of what a layer starts from; beyond, the sigmoid would hardly let it change."""


class ConvBlock(nn.Module):
    """Convolution with reflection padding, then normalisation and activation.

    Batch statistics are always used, as in the release, which never calls `eval`: with a batch of one this is an
    instance normalisation.
    """

    def __init__(self, num_in: int, num_out: int, kernel_size: int, *, stride: int = 1, has_norm: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            num_in, num_out, kernel_size, stride=stride, padding=kernel_size // 2, padding_mode="reflect"
        )
        self.norm = batch_norm(num_out) if has_norm else nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        return F.leaky_relu(self.norm(self.convolve(features)), SLOPE)

    def convolve(self, features: Tensor) -> Tensor:
        if self.conv.kernel_size == (1, 1):
            return convolve_pixels(features, self.conv.weight, self.conv.bias)
        return self.conv(features)


class HourglassScale(nn.Module):
    """One scale of the hourglass: a thin skip branch beside a branch of half the size."""

    def __init__(self, num_in: int, *, down: int, up: int, skip: int, num_deeper: int, is_first: bool) -> None:
        super().__init__()
        self.skip = ConvBlock(num_in, skip, 1)
        self.down1 = ConvBlock(num_in, down, 3, stride=2)
        self.down2 = ConvBlock(down, down, 3)
        self.merge = batch_norm(skip + num_deeper)
        self.up1 = ConvBlock(skip + num_deeper, up, 3)
        self.up2 = ConvBlock(up, up, 1, has_norm=not is_first)


class LayerNetwork(nn.Module):
    """Draws a layer (1, 4, H, W), colour and opacity in [0, 1], from a picture (1, 3, H, W) in [0, 1].

    down, up, skip: channels at every scale, or one number for each. Every side needs 2^num_scales + 1 pixels.
    canvas_side: side of the canvas, a square picture stretched over the whole source, which is optimised beside the
    network's weights and added to its colours before the sigmoid; 0: none.
    Channels are last in memory, which is faster for thin networks on a CPU.
    """

    def __init__(
        self,
        num_scales: int,
        *,
        down: int | Sequence[int],
        up: int | Sequence[int],
        skip: int | Sequence[int],
        canvas_side: int = 0,
        has_two_colours: bool = False,
    ) -> None:
        super().__init__()
        downs, ups, skips = (_for_each_scale(channels, num_scales) for channels in (down, up, skip))
        self.scales = nn.ModuleList(
            HourglassScale(
                downs[number - 1] if number else 3,
                down=downs[number],
                up=ups[number],
                skip=skips[number],
                num_deeper=ups[number + 1] if number + 1 < num_scales else downs[number],
                is_first=number == 0,
            )
            for number in range(num_scales)
        )
        self.head = nn.Conv2d(ups[0], 4, 1)
        axes = torch.tensor(COLOUR_AXES)
        axes[:, 0] /= 1.6
        self.register_buffer("colour_matrix", axes / axes.norm(dim=0).max())
        sides = [canvas_side >> level for level in range(NUM_CANVAS_LEVELS)] if canvas_side else []
        self.canvas = nn.ParameterList(torch.zeros(1, 2 if has_two_colours else 3, side, side) for side in sides)
        self.colours = nn.Parameter(torch.zeros(2, 3)) if has_two_colours else None
        self.to(memory_format=torch.channels_last)

    @torch.no_grad()
    def start_from(self, colours: Tensor, shares: Tensor, opacity: Tensor) -> None:
        """Start from a texture: colours (2, 3), and shares (1, 1, H, W) of the second one; and an opacity (1, 1, h, w).

        All are in [0, 1]. What the network itself draws in the beginning comes on top.
        """
        for channel, start, limits, scale in (
            (0, shares, SHARE_RANGE, CANVAS_MIX),
            (1, opacity, OPACITY_RANGE, CANVAS_SCALE),
        ):
            finest = self.canvas[0][:, channel : channel + 1]
            resized = F.interpolate(start.to(finest), finest.shape[-2:], mode="bilinear", antialias=True)
            finest.copy_(torch.logit(resized.clamp(*limits)) / scale)
        self.colours.copy_(torch.logit(colours.clamp(*COLOUR_RANGE)) / COLOUR_SCALE)

    def forward(self, picture: Tensor, places: Tensor) -> Tensor:
        """places: coordinates (1, 2, H, W) of the pixels in the whole picture, which the canvas needs."""
        drawn = self.draw(picture).float()
        if self.canvas:
            grid = 2 * places.permute(0, 2, 3, 1) - 1
            canvas = sum(F.grid_sample(each, grid, padding_mode="border", align_corners=False) for each in self.canvas)
            if self.colours is not None:
                return self._mix(drawn, canvas)
            drawn = torch.cat([drawn[:, :3] + CANVAS_SCALE * canvas, drawn[:, 3:]], dim=1)
        return torch.sigmoid(drawn)

    def draw(self, picture: Tensor) -> Tensor:
        """Draw colours and opacity (1, 4, H, W) before the sigmoid, without the canvas."""
        features = self._hourglass(picture.contiguous(memory_format=torch.channels_last), 0)
        # Colours are coordinates along the axes; the fourth channel, opacity, stays as it is.
        mix = torch.block_diag(self.colour_matrix, self.colour_matrix.new_ones(1, 1))
        weight = torch.einsum("ij,jchw->ichw", mix, self.head.weight)
        return convolve_pixels(features, weight, mix @ self.head.bias)

    def _mix(self, drawn: Tensor, canvas: Tensor) -> Tensor:
        """Mix the two colours: drawn (1, 4, H, W), canvas (1, 2, H, W)."""
        shares = torch.sigmoid(NETWORK_MIX * (drawn[:, 1:2] - drawn[:, :1]) + CANVAS_MIX * canvas[:, :1])
        first, second = torch.sigmoid(COLOUR_SCALE * self.colours)[..., None, None]
        opacity = torch.sigmoid(drawn[:, 3:] + CANVAS_SCALE * canvas[:, 1:])
        return torch.cat([torch.lerp(first, second, shares), opacity], dim=1)

    def _hourglass(self, features: Tensor, number: int) -> Tensor:
        scale = self.scales[number]
        deeper = scale.down2(scale.down1(features))
        if number + 1 < len(self.scales):
            deeper = self._hourglass(deeper, number + 1)
        skip = scale.skip(features)
        # Twice as large, and cut to the size of the skip branch; both at once, as a cut alone would copy its gradient.
        deeper = torch.ops.aten.upsample_bilinear2d(deeper, skip.shape[-2:], False, 2.0, 2.0)
        # There is no activation between this normalisation and the convolution after it.
        return scale.up2(scale.up1(scale.merge(torch.cat([skip, deeper], dim=1))))


def build_layer_network(settings: Text2LiveSettings, seed: int, *, has_two_colours: bool = False) -> LayerNetwork:
    """Draw a network with torch's default weights, without touching the global random state."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LayerNetwork(
            settings.num_scales,
            down=settings.num_channels,
            up=settings.num_channels,
            skip=settings.num_skip_channels,
            canvas_side=settings.canvas_side,
            has_two_colours=has_two_colours,
        )


def convolve_pixels(features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Convolve (B, C, H, W) by a kernel (D, C, 1, 1) of one pixel: a matrix product, as channels are last in memory.

    On one thread, torch's convolution changes the order in memory for such kernels, and pads by nothing with a copy.
    """
    return F.linear(features.permute(0, 2, 3, 1), weight.flatten(1), bias).permute(0, 3, 1, 2)


def batch_norm(num_channels: int) -> nn.BatchNorm2d:
    """Normalisation by the statistics of the batch, which keeps no averages."""
    return nn.BatchNorm2d(num_channels, track_running_stats=False)


def _for_each_scale(channels: int | Sequence[int], num_scales: int) -> list[int]:
    return [channels] * num_scales if isinstance(channels, int) else list(channels)
