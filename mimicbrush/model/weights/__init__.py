"""Where a network's weights come from and go to: pretrained parts, released files, exported folders, training runs."""

from mimicbrush.model.weights.build import (
    fetchable_parts,
    from_pretrained,
    initialise,
    load_network,
    load_release,
    read_weights,
)
from mimicbrush.model.weights.config import NetworkConfig, PartConfig, full_size_network, released_network
from mimicbrush.model.weights.digests import require_unchanged, tensor_digests
from mimicbrush.model.weights.folder import load_scheduler, save_pretrained
from mimicbrush.model.weights.lora_export import export_lora
from mimicbrush.model.weights.lora_file import read_lora
from mimicbrush.model.weights.lora_loader import LoraLoader
from mimicbrush.model.weights.parts import load_files, load_part, load_pretrained, widen_conv_in
from mimicbrush.model.weights.release import save_release
from mimicbrush.model.weights.run import (
    best_checkpoint_of,
    checkpoint_of,
    previous_checkpoint_of,
    read_checkpoint,
    split_parts,
)
from mimicbrush.model.weights.tensors import DamagedFileError, load_strictly, require_fit, torch_load, torch_save

__all__ = [
    "DamagedFileError",
    "LoraLoader",
    "NetworkConfig",
    "PartConfig",
    "best_checkpoint_of",
    "checkpoint_of",
    "export_lora",
    "fetchable_parts",
    "from_pretrained",
    "full_size_network",
    "initialise",
    "load_files",
    "load_network",
    "load_part",
    "load_pretrained",
    "load_release",
    "load_scheduler",
    "load_strictly",
    "previous_checkpoint_of",
    "read_checkpoint",
    "read_lora",
    "read_weights",
    "released_network",
    "require_fit",
    "require_unchanged",
    "save_pretrained",
    "save_release",
    "split_parts",
    "tensor_digests",
    "torch_load",
    "torch_save",
    "widen_conv_in",
]
