"""The networks that metrics use: where their weights lie, what they are, and each loaded once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torchmetrics
from transformers import AutoConfig, PretrainedConfig

from mimicbrush.device import choose_device
from mimicbrush.errors import UserError
from mimicbrush.evaluation.config import ModelsConfig
from mimicbrush.evaluation.metrics.depth import DepthEstimator
from mimicbrush.evaluation.metrics.embeddings import ClipEmbedder, load_dino, load_dinov2
from mimicbrush.evaluation.metrics.lpips import Lpips
from mimicbrush.evaluation.metrics.sources import fetch_command, find_file, short_digest
from mimicbrush.hub.local_networks import AbsentWeightsError, find_folder
from mimicbrush.hub.weight_files import weight_files

VIT_SIZES = {192: "Ti", 384: "S", 768: "B", 1024: "L", 1280: "H", 1536: "g"}
"""By width, as the papers name them."""


@dataclass(frozen=True, kw_only=True)
class Network:
    """One of ModelsConfig's fields."""

    label: str
    """As reports call it."""
    model_type: str | None
    """As a folder's config.json says it; None for a single file of torchvision's."""
    load: Callable[[Path, torch.device], Any]
    """From the folder or file that `find` finds."""
    has_tokenizer: bool = False
    """Whether the folder must hold one, for texts."""

    def find(self, source: str) -> Path:
        """The folder or file of the weights; raises AbsentWeightsError."""
        if self.model_type is None:
            return find_file(source)
        return find_folder(source, self.model_type, has_tokenizer=self.has_tokenizer)


NETWORKS = {
    "dino": Network(label="DINO", model_type="vit", load=load_dino),
    "dinov2": Network(label="DINOv2", model_type="dinov2", load=load_dinov2),
    "clip": Network(label="CLIP", model_type="clip", load=ClipEmbedder, has_tokenizer=True),
    "alexnet": Network(label="AlexNet", model_type=None, load=partial(Lpips, "alexnet")),
    "vgg16": Network(label="VGG16", model_type=None, load=partial(Lpips, "vgg16")),
    "depth": Network(label="Depth Anything", model_type="depth_anything", load=DepthEstimator),
}


class Models:
    """The networks of all metrics: each is loaded on first use, in float32, and kept."""

    def __init__(self, config: ModelsConfig | None = None, *, device: str = "auto") -> None:
        """device: `auto` is a GPU where there is one."""
        self.config = config or ModelsConfig()
        self.device = choose_device(device)
        self._loaded: dict[str, Any] = {}
        self._variants: dict[str, str] = {}

    def missing(self, names: Iterable[str]) -> dict[str, str]:
        """Those of the networks that cannot be had, each with the reason and the command that fetches it.

        Only looks: nothing is loaded, and nothing downloaded.
        """
        reasons = {name: self._reason(name) for name in sorted(set(names) - set(self._loaded))}
        return {name: reason for name, reason in reasons.items() if reason}

    def variant(self, name: str) -> str:
        """`DINO ViT-S/16 (facebook/dino-vits16, 1f2e3d4c)`: what was found, where from, and the weights' SHA-256.

        Found out once. Raises UserError where the network is not there.
        """
        if name not in self._variants:
            self._variants[name] = self._describe(name)
        return self._variants[name]

    def _describe(self, name: str) -> str:
        path, network = self.find(name), NETWORKS[name]
        source = self._source(name)
        if network.model_type is None:
            return f"{network.label} ({source}, {short_digest(path)}; heads of torchmetrics {torchmetrics.__version__})"
        architecture = describe_architecture(AutoConfig.from_pretrained(path, local_files_only=True))
        digests = ", ".join(map(short_digest, weight_files(path)))
        return f"{network.label} {architecture} ({source}, {digests})"

    def load(self, name: str) -> Any:
        """An ImageEmbedder, ClipEmbedder, Lpips or DepthEstimator; raises UserError where its weights are not there."""
        if name not in self._loaded:
            self._loaded[name] = NETWORKS[name].load(self.find(name), self.device)
        return self._loaded[name]

    def find(self, name: str) -> Path:
        """The folder or file of a network's weights; raises UserError where it is not there."""
        reason = self._reason(name)
        if reason:
            raise UserError(reason)
        return NETWORKS[name].find(self._source(name))

    def _reason(self, name: str) -> str | None:
        try:
            NETWORKS[name].find(self._source(name))
        except AbsentWeightsError as error:
            default = next(field.default for field in fields(ModelsConfig) if field.name == name)
            return f"{error}; {fetch_command(name, self._source(name), default)}"
        return None

    def _source(self, name: str) -> str:
        return getattr(self.config, name)


def describe_architecture(config: PretrainedConfig) -> str:
    """`ViT-B/14`, of the part that sees pictures; `ViT of width 32/8` for one that the papers do not name."""
    vision = getattr(config, "vision_config", None) or getattr(config, "backbone_config", None) or config
    size = VIT_SIZES.get(vision.hidden_size)
    return f"ViT-{size}/{vision.patch_size}" if size else f"ViT of width {vision.hidden_size}/{vision.patch_size}"
