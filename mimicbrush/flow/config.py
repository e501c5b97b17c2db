"""Configuration of the networks that estimate optical flow, and of the command that does so."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mimicbrush.errors import Faults, UserError
from mimicbrush.files import check_writable, why_no_file

MARGIN = 2
"""Pixels around a moved object and its new place that show its border, and may change."""


@dataclass(frozen=True, kw_only=True)
class RaftConfig:
    """Sizes of a RAFT network (Teed and Deng 2020, arXiv 2003.12039); the defaults are those of RAFT large."""

    block: Literal["residual", "bottleneck"] = "residual"
    """Block of both encoders: two 3x3 convolutions, or a 3x3 one between two of 1x1."""
    encoder_channels: tuple[int, int, int, int] = (64, 64, 96, 128)
    """Channels of both encoders: after the first convolution, and after each of three stages of two blocks."""
    encoder_strides: tuple[int, int, int] = (1, 2, 2)
    """Stride of each stage; the first convolution has stride 2 as well."""
    feature_channels: int = 256
    """Channels of the features that are correlated."""
    hidden_channels: int = 128
    """Channels of the hidden state."""
    context_channels: int = 128
    """Channels of the first picture's context."""
    has_batch_norm: bool = True
    """Normalise over the batch in the context encoder; without it, that encoder has no normalisation."""
    num_levels: int = 4
    """Levels of the correlation pyramid."""
    radius: int = 4
    """Pixels of a level, to each side of the current match, whose correlation is looked up."""
    correlation_channels: tuple[int, ...] = (256, 192)
    """Channels of the convolutions of the looked-up correlation: a 1x1 one, then 3x3 ones."""
    flow_channels: tuple[int, int] = (128, 64)
    """Channels of the convolutions of the current flow, 7x7 and 3x3."""
    motion_channels: int = 128
    """Channels of the motion features, two of which are the current flow itself."""
    is_separable: bool = True
    """Update the hidden state by 1x5 and then 5x1 convolutions, rather than by 3x3 ones."""
    head_channels: int = 256
    """Channels inside the head that predicts the change of the flow."""
    has_convex_upsampling: bool = True
    """Upsample by predicted convex combinations of neighbours, rather than bilinearly."""
    upsampling_channels: int = 256
    """Channels inside the head that predicts the weights of these combinations."""

    def __post_init__(self) -> None:
        for name, length in (("encoder_channels", 4), ("encoder_strides", 3), ("flow_channels", 2)):
            if len(getattr(self, name)) != length:
                raise UserError(f"{name} is {getattr(self, name)}, expected {length} numbers")
        if not set(self.encoder_strides) <= {1, 2}:
            raise UserError(f"encoder_strides is {self.encoder_strides}, expected strides of 1 or 2")
        if min(self.num_levels, self.radius, len(self.correlation_channels)) < 1:
            raise UserError("num_levels, radius and the number of correlation_channels must be at least 1")

    @property
    def stride(self) -> int:
        """Pixels per cell of the features."""
        first, second, third = self.encoder_strides
        return 2 * first * second * third

    @property
    def min_side(self) -> int:
        """Shortest side in pixels at which the smallest level of the pyramid has two cells.

        With a single cell, the original divides by zero and returns NaN.
        """
        return self.stride * 2**self.num_levels


RAFT_LARGE = RaftConfig()
RAFT_SMALL = RaftConfig(
    block="bottleneck",
    encoder_channels=(32, 32, 64, 96),
    feature_channels=128,
    hidden_channels=96,
    context_channels=64,
    has_batch_norm=False,
    radius=3,
    correlation_channels=(96,),
    flow_channels=(64, 32),
    motion_channels=82,
    is_separable=False,
    head_channels=128,
    has_convex_upsampling=False,
)


@dataclass(frozen=True, kw_only=True)
class TwoPicturesConfig:
    """Estimate the optical flow between two pictures of one size, such as two frames of a clip."""

    first: Path
    """The first picture; the flow lies on its grid."""
    second: Path
    """The second picture, which shows the same things elsewhere."""
    output: Path
    """Flow file to write: .npy, .npz, .flo, .pth, or .png as KITTI's. The flow in colours is written beside it, as
    OUTPUT-colours.png."""
    weights: str | None = None
    """RAFT that estimates the flow: a file, a folder, a hub repository, or asset:flow, for pictures of 64 to 128
    pixels; null: DIS, a classical method of OpenCV, which needs no weights."""
    force: bool = False
    """Overwrite existing files."""

    @property
    def colours(self) -> Path:
        """The picture of the flow in colours."""
        return self.output.with_name(f"{self.output.stem}-colours.png")


def check_pair_files(config: TwoPicturesConfig) -> None:
    """Raise UserError for missing pictures, and for files that exist or cannot be written; imports nothing heavy."""
    faults = Faults()
    for name, path in (("first", config.first), ("second", config.second)):
        faults.check(path.is_file(), f"{name} {path}: {why_no_file(path, 'picture')}")
    for path in (config.output, config.colours):
        for name, given in (("first", config.first), ("second", config.second)):
            faults.check(
                given.resolve() != path.resolve(), f"{path} would overwrite the {name} picture; choose another output"
            )
        faults.check(config.force or not path.exists(), f"{path} exists; choose another output or pass --force")
        with faults.collect():
            check_writable(path)
    faults.refuse()
