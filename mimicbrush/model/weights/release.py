"""Read and write `mimicbrush.bin`, the layout in which the authors released their weights: a dict of five parts."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from mimicbrush.errors import UserError
from mimicbrush.files import whole
from mimicbrush.model.conditioning import DepthShape
from mimicbrush.model.config import NetworkOptions
from mimicbrush.model.network import MimicBrushNetwork
from mimicbrush.model.weights.run_checkpoint import is_checkpoint
from mimicbrush.model.weights.tensors import Tensors, TrainedWeights, is_tensors
from mimicbrush.tensor_files import torch_load, torch_save

RELEASED_NAMES = {
    "unet": "imitative_unet",
    "referencenet": "reference_unet",
    "image_encoder": "image_encoder",
    "image_proj": "image_projector",
    "depth_guider": "shape_projector",
}
"""The released file's name of a part -> ours. The autoencoder and the depth model are not in it."""

CLIP_PREFIX = "clip."
POSITION_IDS = "vision_model.embeddings.position_ids"
"""A buffer, not a weight; transformers stored it up to 4.30, and later versions refuse it."""

HARD_CODED_OPTIONS = (
    "depth_input",
    "shape_in_channels",
    "reference_projections",
    "reference_blend",
    "reference_timestep",
    "prediction_type",
)
"""Options that the released code hard-codes."""


def read_release(path: Path) -> TrainedWeights:
    """Read the tensors of a released checkpoint; raises UserError where it is none."""
    content = torch_load(path)
    if is_checkpoint(content):
        raise UserError(f"{path}: a checkpoint of train.py; give the training run's folder, {path.parent.parent}")
    if not is_release(content):
        found = ", ".join(map(str, list(content)[:6])) if isinstance(content, dict) else type(content).__name__
        raise UserError(
            f"{path}: not a released checkpoint; expected tensors in {', '.join(RELEASED_NAMES)}, found {found}"
        )
    parts = {ours: content[theirs] for theirs, ours in RELEASED_NAMES.items()}
    encoder = parts["image_encoder"]
    parts["image_encoder"] = {CLIP_PREFIX + name: tensor for name, tensor in encoder.items() if name != POSITION_IDS}
    released = NetworkOptions()
    options = {name: getattr(released, name) for name in HARD_CODED_OPTIONS}
    return TrainedWeights("released checkpoint", str(path), parts, options)


def is_release(content: object) -> bool:
    """Whether the content of a file has the released parts."""
    return isinstance(content, dict) and all(is_tensors(content.get(name)) for name in RELEASED_NAMES)


def save_release(
    network: MimicBrushNetwork, path: Path, *, dtype: torch.dtype | None = None, position_ids: bool = False
) -> None:
    """Write the network so that the released code loads it.

    dtype: precision of the stored weights; by default that of the network. position_ids: add CLIP's position ids, which
    transformers up to 4.30 demands; the released code pins 4.25. Raises UserError where the released code would run the
    network differently.
    """
    _refuse_other_options(network)
    content = release_parts(network, dtype)
    if position_ids:
        num = network.image_encoder.clip.vision_model.embeddings.num_positions
        content["image_encoder"][POSITION_IDS] = torch.arange(num)[None]
    with whole(path) as partial:
        torch_save(content, partial)


def release_parts(network: MimicBrushNetwork, dtype: torch.dtype | None = None) -> dict[str, Tensors]:
    """The network's tensors under the released names."""
    parts: dict[str, nn.Module] = {theirs: getattr(network, ours) for theirs, ours in RELEASED_NAMES.items()}
    parts["image_encoder"] = network.image_encoder.clip
    return {
        theirs: {name: tensor.detach().to(dtype=dtype).contiguous() for name, tensor in part.state_dict().items()}
        for theirs, part in parts.items()
    }


def _refuse_other_options(network: MimicBrushNetwork) -> None:
    released = NetworkOptions()
    found_and_wanted = {name: (getattr(network.options, name), getattr(released, name)) for name in HARD_CODED_OPTIONS}
    found_and_wanted["depth"] = ("given" if isinstance(network.shape_map, DepthShape) else "null", "given")
    other = [
        f"{name} is {found}, not {wanted}" for name, (found, wanted) in found_and_wanted.items() if found != wanted
    ]
    if other:
        raise UserError(
            f"the released code would run these weights differently than they were trained: {'; '.join(other)};"
            " write a folder instead"
        )
