"""Configuration of the commands that inspect and convert trained weights."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mimicbrush.model.config import NetworkConfig, released_network


@dataclass(frozen=True, kw_only=True)
class InspectConfig:
    """List the contents of trained weights: parts, tensors, parameters, precision, and the presets they fit."""

    weights: str
    """A released mimicbrush.bin, a training run, a folder or hub repository made by `convert`, or asset:NAME."""


@dataclass(frozen=True, kw_only=True)
class ConvertConfig:
    """Convert trained weights to a folder in diffusers' layout, or to a file that the released code loads."""

    weights: str
    """A released mimicbrush.bin, a training run, or a folder or hub repository made by this command."""
    output: Path
    """The folder to write; a name that ends in .bin writes one file in the released layout instead."""
    average_with: str | None = None
    """Other weights of the same sizes: each parameter becomes the mean of both (arXiv 2203.05482). The mean of weights
    before and after a further training often keeps what they had and has most of what is new."""
    use_ema: bool = True
    """Take the averaged weights (EMA) of a training run; false: its last weights."""
    dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    """Precision of the stored weights."""
    position_ids: bool = False
    """Add CLIP's position ids to a .bin file; transformers up to 4.30 needs them, and the released code pins 4.25."""
    network: NetworkConfig = field(default_factory=released_network)
    """Sizes of the parts in a mimicbrush.bin, and where its autoencoder and depth model come from; for no other
    weights."""


@dataclass(frozen=True, kw_only=True)
class PushConfig:
    """Upload trained weights to the Hugging Face hub, with a card of their recipe, data, metrics and limits."""

    weights: str
    """A training run, or a folder made by `convert`; the card describes the recipe and the data of a run."""
    repo_id: str
    """The repository, OWNER/NAME; it is made if needed."""
    licence: str
    """Licence of the weights as the hub names it, such as apache-2.0, openrail or other; the licence of the weights
    that training started from may apply to them as well."""
    evaluation: Path | None = None
    """Output folder of an evaluate.py whose first editor is these weights; the card shows its means."""
    private: bool = False
    """Make a new repository private."""
    use_ema: bool = True
    """Take the averaged weights (EMA) of a training run; false: its last weights."""
    dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    """Precision of the stored weights."""


@dataclass(frozen=True, kw_only=True)
class LoraConfig:
    """Write the adapters (LoRA) of a training run, and the layers trained beside them, as a file for `edit --lora`."""

    weights: str
    """A training run with recipe.imitative_lora."""
    output: Path
    """The .safetensors file to write."""
    base: Path | None = None
    """Folder to write the weights that training started from, in diffusers' layout. `edit --weights` needs them beside
    the LoRA file; leave it out where they exist already."""
    use_ema: bool = True
    """Take the averaged weights (EMA) of the run; false: its last weights."""
    dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    """Precision of the stored tensors."""

    def __post_init__(self) -> None:
        if self.output.suffix != ".safetensors":
            raise ValueError(f"output is {self.output}, expected a name ending in .safetensors")
