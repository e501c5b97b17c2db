"""The encoder of RAFT: pictures to features at a fraction of their size."""

from __future__ import annotations

from torch import Tensor, nn

from mimicbrush.flow.config import RaftConfig

Norm = type[nn.Module]


class Encoder(nn.Module):
    """Encode pictures (B, 3, H, W) in [-1, 1] as (B, out_channels, H / stride, W / stride).

    norm: class of the normalisation layers, made from their number of channels. Submodules have the names of the
    authors' weight files.
    """

    def __init__(self, config: RaftConfig, out_channels: int, norm: Norm) -> None:
        super().__init__()
        block = {"residual": ResidualBlock, "bottleneck": BottleneckBlock}[config.block]
        channels, strides = config.encoder_channels, config.encoder_strides
        self.conv1 = nn.Conv2d(3, channels[0], 7, stride=2, padding=3)
        self.norm1 = norm(channels[0])
        self.layer1, self.layer2, self.layer3 = (
            nn.Sequential(block(before, after, stride, norm), block(after, after, 1, norm))
            for before, after, stride in zip(channels, channels[1:], strides, strict=False)
        )
        self.conv2 = nn.Conv2d(channels[-1], out_channels, 1)

    def forward(self, pictures: Tensor) -> Tensor:
        hidden = self.norm1(self.conv1(pictures)).relu()
        return self.conv2(self.layer3(self.layer2(self.layer1(hidden))))


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut."""

    def __init__(self, channels: int, out_channels: int, stride: int, norm: Norm) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out_channels, 3, stride=stride, padding=1)
        self.norm1 = norm(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.norm2 = norm(out_channels)
        self.downsample = _shortcut(channels, out_channels, stride, norm)

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = self.norm1(self.conv1(inputs)).relu()
        hidden = self.norm2(self.conv2(hidden)).relu()
        return (self.downsample(inputs) + hidden).relu()


class BottleneckBlock(nn.Module):
    """A 3x3 convolution of a quarter of the channels between two 1x1 convolutions, beside a shortcut."""

    def __init__(self, channels: int, out_channels: int, stride: int, norm: Norm) -> None:
        super().__init__()
        inner = out_channels // 4
        self.conv1 = nn.Conv2d(channels, inner, 1)
        self.norm1 = norm(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride=stride, padding=1)
        self.norm2 = norm(inner)
        self.conv3 = nn.Conv2d(inner, out_channels, 1)
        self.norm3 = norm(out_channels)
        self.downsample = _shortcut(channels, out_channels, stride, norm)

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = self.norm1(self.conv1(inputs)).relu()
        hidden = self.norm2(self.conv2(hidden)).relu()
        hidden = self.norm3(self.conv3(hidden)).relu()
        return (self.downsample(inputs) + hidden).relu()


def _shortcut(channels: int, out_channels: int, stride: int, norm: Norm) -> nn.Module:
    if stride == 1 and channels == out_channels:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(channels, out_channels, 1, stride=stride), norm(out_channels))
