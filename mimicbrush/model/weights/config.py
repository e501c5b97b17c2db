"""The commands that look at trained weights and rewrite them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mimicbrush.model.config import NetworkConfig, released_network


@dataclass(frozen=True, kw_only=True)
class InspectConfig:
    """Say what trained weights hold: parts, tensors, parameters, precision, and which preset they fit."""

    weights: str
    """A released mimicbrush.bin, a training run, or a folder or hub repository made by `convert`."""


@dataclass(frozen=True, kw_only=True)
class ConvertConfig:
    """Rewrite trained weights as a folder in diffusers' layout, or as a file that the released code loads."""

    weights: str
    """A released mimicbrush.bin, a training run, or a folder or hub repository made by this command."""
    output: Path
    """The folder to make; a name ending in .bin makes a file in the released layout."""
    use_ema: bool = True
    """Of a training run, the averaged weights."""
    dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    """Precision of the stored weights."""
    position_ids: bool = False
    """In a .bin, add CLIP's position ids, which transformers up to 4.30 demands; the released code pins 4.25."""
    network: NetworkConfig = field(default_factory=released_network)
    """For a mimicbrush.bin only: sizes of what it holds, and where the autoencoder and the depth model come from."""


@dataclass(frozen=True, kw_only=True)
class LoraConfig:
    """Write what a run has trained, adapters (LoRA) and what is trained beside them, as a file for `edit --lora`."""

    weights: str
    """A training run with recipe.imitative_lora."""
    output: Path
    """The .safetensors file to write."""
    base: Path | None = None
    """Folder to make of the weights that training started from, in diffusers' layout: what `edit --weights` needs
    beside the file, where they are not trained weights already."""
    use_ema: bool = True
    """The averaged weights."""
    dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    """Precision of the stored tensors."""

    def __post_init__(self) -> None:
        if self.output.suffix != ".safetensors":
            raise ValueError(f"output is {self.output}, expected a name ending in .safetensors")
