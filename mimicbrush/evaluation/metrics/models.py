"""The networks of metrics: found on this machine, described, and each loaded once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch
import torchmetrics
from transformers import AutoConfig, PretrainedConfig

from mimicbrush.device import choose_device
from mimicbrush.errors import UserError
from mimicbrush.evaluation.config import ModelsConfig
from mimicbrush.evaluation.metrics.depth import DepthEstimator
from mimicbrush.evaluation.metrics.embeddings import ClipEmbedder, load_dino, load_dinov2
from mimicbrush.evaluation.metrics.flow_network import find_flow, load_flow
from mimicbrush.evaluation.metrics.judge_network import MODEL_TYPE, load_judge
from mimicbrush.evaluation.metrics.lpips import Lpips
from mimicbrush.files import sha256
from mimicbrush.hub.local_networks import AbsentWeightsError, find_folder
from mimicbrush.hub.locations import is_repository, is_shipped
from mimicbrush.hub.weight_files import weight_files

FETCH = "python -m mimicbrush.evaluation.fetch"
NAMED_HASH = re.compile(r"-([0-9a-f]{8,})\.")
"""The beginning of a file's SHA-256 in its name, as in torchvision's files."""
VIT_SIZES = {192: "Ti", 384: "S", 768: "B", 1024: "L", 1280: "H", 1536: "g"}
"""Width of a vision transformer to the name of its size in the papers."""


@dataclass(frozen=True, kw_only=True)
class Network:
    """The kind of network that one field of ModelsConfig names."""

    label: str
    """Name in reports."""
    model_type: str | None
    """The `model_type` of a folder's config.json; None for a single file of torchvision."""
    load: Callable[[Path, torch.device], Any]
    """Loads the network from the path that `find` returns."""
    has_tokenizer: bool = False
    """Whether the folder must hold a tokenizer for texts."""
    find_own: Callable[[str], Path] | None = None
    """Finds weights that are in neither layout; raises UserError."""

    def find(self, source: str) -> Path:
        """Find the folder or file of the weights; raises AbsentWeightsError."""
        if self.find_own is not None:
            try:
                return self.find_own(source)
            except UserError as error:
                raise AbsentWeightsError(str(error)) from None
        if self.model_type is None:
            return find_file(source)
        return find_folder(source, self.model_type, has_tokenizer=self.has_tokenizer)


NETWORKS = {
    "dino": Network(label="DINO", model_type="vit", load=load_dino),
    "dinov2": Network(label="DINOv2", model_type="dinov2", load=load_dinov2),
    "clip": Network(label="CLIP", model_type="clip", load=ClipEmbedder, has_tokenizer=True),
    "alexnet": Network(label="AlexNet", model_type=None, load=partial(Lpips, "alexnet")),
    "vgg16": Network(label="VGG16", model_type=None, load=partial(Lpips, "vgg16")),
    "flow": Network(label="RAFT", model_type=None, load=load_flow, find_own=find_flow),
    "depth": Network(label="Depth Anything", model_type="depth_anything", load=DepthEstimator),
    "judge": Network(label="Judge", model_type=MODEL_TYPE, load=lambda folder, device: load_judge(folder).to(device)),
    "world_clip": Network(label="CLIP", model_type="clip", load=ClipEmbedder, has_tokenizer=True),
}


class Models:
    """The networks of all metrics: each is loaded on first use, in float32, and kept.

    device: `auto` is a GPU where there is one.
    """

    def __init__(self, config: ModelsConfig | None = None, *, device: str = "auto") -> None:
        self.config = config or ModelsConfig()
        self.device = choose_device(device)
        self._loaded: dict[str, Any] = {}
        self._variants: dict[str, str] = {}

    def missing(self, names: Iterable[str]) -> dict[str, str]:
        """Networks whose weights are missing, each with the reason and the command that fetches it.

        Nothing is loaded or downloaded.
        """
        reasons = {name: self._reason(name) for name in sorted(set(names) - set(self._loaded))}
        return {name: reason for name, reason in reasons.items() if reason}

    def variant(self, name: str) -> str:
        """Name a network with its repository and hash: `DINO ViT-S/16 (facebook/dino-vits16, 1f2e3d4c)`.

        Raises UserError if the weights are missing.
        """
        if name not in self._variants:
            self._variants[name] = self._describe(name)
        return self._variants[name]

    def _describe(self, name: str) -> str:
        path, network = self.find(name), NETWORKS[name]
        source = self._source(name)
        if network.find_own is not None:
            return f"{network.label} ({source}, {short_digest(path)})"
        if network.model_type is None:
            return f"{network.label} ({source}, {short_digest(path)}; heads of torchmetrics {torchmetrics.__version__})"
        digests = ", ".join(map(short_digest, weight_files(path)))
        if network.model_type == MODEL_TYPE:
            return f"{network.label} ({source}, {digests})"
        architecture = describe_architecture(AutoConfig.from_pretrained(path, local_files_only=True))
        return f"{network.label} {architecture} ({source}, {digests})"

    def load(self, name: str) -> Any:
        """Load an ImageEmbedder, ClipEmbedder, Lpips or DepthEstimator; raises UserError if its weights are missing."""
        if name not in self._loaded:
            self._loaded[name] = NETWORKS[name].load(self.find(name), self.device)
        return self._loaded[name]

    def find(self, name: str) -> Path:
        """Find the folder or file of a network's weights; raises UserError if it is missing."""
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
    """Name the image encoder: `ViT-B/14`, or `ViT of width 32/8` for a size without a name in the papers."""
    vision = getattr(config, "vision_config", None) or getattr(config, "backbone_config", None) or config
    size = VIT_SIZES.get(vision.hidden_size)
    return f"ViT-{size}/{vision.patch_size}" if size else f"ViT of width {vision.hidden_size}/{vision.patch_size}"


def is_url(source: str) -> bool:
    """Whether weights are named by a URL."""
    return source.startswith(("https://", "http://"))


def find_file(source: str) -> Path:
    """Find a local file, or torch.hub's copy of a URL; raises AbsentWeightsError if it is missing or damaged."""
    path = cached_file(source) if is_url(source) else Path(source)
    if not path.is_file():
        raise AbsentWeightsError(f"{path.name} is not on this machine" if is_url(source) else f"{path}: no such file")
    named = NAMED_HASH.search(path.name)
    if named and not sha256(path).startswith(named[1]):
        raise AbsentWeightsError(
            f"{path} is damaged: its SHA-256 begins with {short_digest(path)}, not {named[1]}; delete it"
        )
    return path


def cached_file(url: str) -> Path:
    """Path at which torch.hub keeps the download of a URL."""
    return Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(url).path).name


def fetch_command(name: str, source: str, default: str) -> str:
    """Advice that ends the reason why a network is missing."""
    if is_shipped(default):
        return f"correct models.{name}, or leave it out to use {default}"
    if source == default:
        return f"fetch it by: {FETCH} --models '[{name}]'"
    if is_url(source) or is_repository(source):
        return f"fetch it by: {FETCH} --models '[{name}]' --sources.{name} {source}"
    return f"correct models.{name}, or leave it out to use the default, fetched by: {FETCH} --models '[{name}]'"


def short_digest(path: Path) -> str:
    """First eight hex digits of a file's SHA-256."""
    return sha256(path)[:8]
