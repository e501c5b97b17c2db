"""The update of RAFT (section 3.3): correlation and flow change a hidden state, which predicts a change of the flow."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from mimicbrush.flow.config import RaftConfig


class UpdateBlock(nn.Module):
    """One iteration's change of the hidden state and of the flow; submodules have the names of the authors' files."""

    def __init__(self, config: RaftConfig) -> None:
        super().__init__()
        hidden = config.hidden_channels
        self.encoder = MotionEncoder(config)
        self.gru = ConvolutionalGru(hidden, config.context_channels + config.motion_channels, config.is_separable)
        self.flow_head = FlowHead(hidden, config.head_channels)
        if config.has_convex_upsampling:
            # The mask of section 3.3: weights for nine neighbours of each pixel.
            inner = config.upsampling_channels
            self.mask = nn.Sequential(
                nn.Conv2d(hidden, inner, 3, padding=1), nn.ReLU(), nn.Conv2d(inner, 9 * config.stride**2, 1)
            )

    def forward(self, hidden: Tensor, context: Tensor, correlation: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
        """Return the next hidden state, and the change of the flow (B, 2, h, w) in cells."""
        motion = self.encoder(flow, correlation)
        hidden = self.gru(hidden, torch.cat([context, motion], dim=1))
        return hidden, self.flow_head(hidden)


class MotionEncoder(nn.Module):
    """Encode the current flow with its looked-up correlation."""

    def __init__(self, config: RaftConfig) -> None:
        super().__init__()
        channels = (config.num_levels * (2 * config.radius + 1) ** 2, *config.correlation_channels)
        self.num_correlation_layers = len(config.correlation_channels)
        for number, (before, after) in enumerate(pairwise(channels), start=1):
            kernel = 1 if number == 1 else 3
            setattr(self, f"convc{number}", nn.Conv2d(before, after, kernel, padding=kernel // 2))
        first, second = config.flow_channels
        self.convf1 = nn.Conv2d(2, first, 7, padding=3)
        self.convf2 = nn.Conv2d(first, second, 3, padding=1)
        self.conv = nn.Conv2d(channels[-1] + second, config.motion_channels - 2, 3, padding=1)

    def forward(self, flow: Tensor, correlation: Tensor) -> Tensor:
        for number in range(1, self.num_correlation_layers + 1):
            correlation = getattr(self, f"convc{number}")(correlation).relu()
        moved = self.convf2(self.convf1(flow).relu()).relu()
        return torch.cat([self.conv(torch.cat([correlation, moved], dim=1)).relu(), flow], dim=1)


class ConvolutionalGru(nn.Module):
    """A gated recurrent unit of convolutions: once 3x3, or separable, 1x5 and then 5x1."""

    def __init__(self, hidden_channels: int, input_channels: int, is_separable: bool) -> None:
        super().__init__()
        kernels = {"1": (1, 5), "2": (5, 1)} if is_separable else {"": (3, 3)}
        self.suffixes = tuple(kernels)
        for suffix, kernel in kernels.items():
            padding = (kernel[0] // 2, kernel[1] // 2)
            for gate in "zrq":
                conv = nn.Conv2d(hidden_channels + input_channels, hidden_channels, kernel, padding=padding)
                setattr(self, f"conv{gate}{suffix}", conv)

    def forward(self, hidden: Tensor, inputs: Tensor) -> Tensor:
        for suffix in self.suffixes:
            conv_update, conv_reset, conv_candidate = (getattr(self, f"conv{gate}{suffix}") for gate in "zrq")
            both = torch.cat([hidden, inputs], dim=1)
            update, reset = conv_update(both).sigmoid(), conv_reset(both).sigmoid()
            candidate = conv_candidate(torch.cat([reset * hidden, inputs], dim=1)).tanh()
            hidden = (1 - update) * hidden + update * candidate
        return hidden


class FlowHead(nn.Module):
    """Two 3x3 convolutions from the hidden state to a change of the flow."""

    def __init__(self, channels: int, inner_channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, inner_channels, 3, padding=1)
        self.conv2 = nn.Conv2d(inner_channels, 2, 3, padding=1)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.conv2(self.conv1(hidden).relu())
