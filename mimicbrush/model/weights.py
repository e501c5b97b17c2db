"""Where a network's weights come from and go to: pretrained parts, random starts, folders in diffusers' layout."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Literal, TypeVar

import torch
import yaml
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import nn
from transformers import CLIPVisionModelWithProjection, DepthAnythingForDepthEstimation, PreTrainedModel

from mimicbrush.config import config_from_dict
from mimicbrush.errors import UserError
from mimicbrush.model.conditioning import (
    DepthInput,
    DepthShape,
    EdgeShape,
    ImageEncoder,
    ImageProjector,
    ShapeProjector,
)
from mimicbrush.model.network import MimicBrushNetwork, PredictionType
from mimicbrush.model.reference_attention import make_imitative, make_reference

T = TypeVar("T", bound=nn.Module)

NUM_INPUT_CHANNELS = 13
"""Noisy latent 4, mask 1, background latent 4, shape latent 4, in this order."""

FETCHED_PARTS = ("autoencoder", "image_encoder", "shape_map")
"""Parts that are never trained."""


@dataclass(frozen=True, kw_only=True)
class PartConfig:
    """One pretrained part, or the sizes of a random one."""

    pretrained: str | None = None
    """Hub name, local folder, or `asset:NAME` for weights shipped with this package; null: random weights."""
    subfolder: str | None = None
    """Folder of the part inside `pretrained`, for instance `unet`."""
    arguments: dict = field(default_factory=dict)
    """Sizes, where `pretrained` is null: the arguments of the part's diffusers or transformers config."""


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """The parts of the network and how they meet."""

    size: int = 512
    """Pixels of the square pictures the network works on."""
    imitative_unet: PartConfig = field(default_factory=PartConfig)
    """4, 9 or 13 input channels; 9 are read as Stable Diffusion inpainting's. Random weights start as the reference's,
    as two U-Nets of one family do."""
    reference_unet: PartConfig = field(default_factory=PartConfig)
    """4 input channels."""
    autoencoder: PartConfig = field(default_factory=PartConfig)
    """AutoencoderKL; never trained here."""
    image_encoder: PartConfig = field(default_factory=PartConfig)
    """CLIP vision model with projection; never trained here."""
    depth: PartConfig | None = None
    """Depth Anything; null: the shape map is made of the source's edges, which needs no weights."""
    depth_input: DepthInput = "released"
    """Normalisation of the depth model's input: the release's quirk, which its weights need, or the standard one."""
    shape_channels: tuple[int, ...] = (16, 32, 64, 128)
    """Widths of the shape projector; one more than the autoencoder's halvings."""
    conv_in: Literal["inherit", "random"] = "inherit"
    """First layer of the imitative U-Net: keep pretrained input channels and zero the new ones, or start at random,
    as the authors did."""
    reference_blend: float = 0.5
    """Share of joint attention, the rest is plain self-attention: 0.5 in the release, 1.0 in the paper's equation 1."""
    prediction_type: PredictionType = "epsilon"
    """What the imitative U-Net predicts: epsilon, the noise, as Stable Diffusion 1.5 and the release do; v_prediction,
    the velocity, which from random weights finds colours and shapes in far fewer steps."""
    reference_at_zero: bool = False
    """Run the reference U-Net at timestep 0, once per edit, instead of at every step's own, as the release does."""

    def __post_init__(self) -> None:
        if not 0 <= self.reference_blend <= 1:
            raise ValueError(f"reference_blend is {self.reference_blend}, expected 0 to 1")
        if self.size <= 0 or self.size % 8:
            raise ValueError(f"size is {self.size}, expected a positive multiple of 8")


def initialise(config: NetworkConfig, *, seed: int = 0) -> MimicBrushNetwork:
    """Build the network, pretrained parts loaded and random ones drawn from `seed`.

    Raises UserError where weights are not found or sizes do not fit each other.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        autoencoder = load_part("autoencoder", config.autoencoder, AutoencoderKL)
        reference = load_part("reference_unet", config.reference_unet, UNet2DConditionModel)
        imitative = _imitative_start(config, reference)
        clip = load_part("image_encoder", config.image_encoder, CLIPVisionModelWithProjection)
        network = MimicBrushNetwork(
            imitative_unet=make_imitative(imitative, config.reference_blend),
            reference_unet=make_reference(reference),
            autoencoder=autoencoder,
            image_encoder=ImageEncoder(clip),
            image_projector=ImageProjector(clip.config.hidden_size, imitative.config.cross_attention_dim),
            shape_map=_shape_map(config),
            shape_projector=ShapeProjector(config.size, tuple(config.shape_channels)),
            size=config.size,
            reference_at_zero=config.reference_at_zero,
            prediction_type=config.prediction_type,
        )
    _check_sizes(network, config)
    for name in FETCHED_PARTS:
        getattr(network, name).requires_grad_(False).eval()
    return network


def load_part(name: str, config: PartConfig, kind: type[T]) -> T:
    """A pretrained part, or a random one of the given sizes."""
    if config.pretrained is None:
        try:
            return _random_part(kind, config.arguments)
        except (TypeError, ValueError) as error:
            raise UserError(f"{name}.arguments do not make a {kind.__name__}: {error}") from None
    # Only safetensors: nothing executable is ever loaded. Weights stored in half precision are computed in float32
    # unless autocast says otherwise.
    dtype = "dtype" if issubclass(kind, PreTrainedModel) else "torch_dtype"
    options = {"use_safetensors": True, dtype: torch.float32}
    if config.subfolder:
        options["subfolder"] = config.subfolder
    try:
        return kind.from_pretrained(_resolve(config.pretrained), **options)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"{name}: {config.pretrained} could not be loaded ({reason}); give a local folder in diffusers' layout"
        ) from None


def widen_conv_in(unet: UNet2DConditionModel, start: Literal["inherit", "random"]) -> UNet2DConditionModel:
    """Give a U-Net of 4, 9 or 13 input channels the 13 of the imitative one; changes it in place.

    `inherit` copies what is there, in order, and zeroes the new channels: at first they change nothing.
    """
    old = unet.conv_in
    if old.in_channels == NUM_INPUT_CHANNELS:
        return unet
    if old.in_channels not in (4, 9):
        raise UserError(f"imitative_unet: {old.in_channels} input channels; expected 4, 9 (inpainting) or 13")
    new = nn.Conv2d(NUM_INPUT_CHANNELS, old.out_channels, old.kernel_size, padding=old.padding)
    if start == "inherit":
        with torch.no_grad():
            new.weight.zero_()
            new.weight[:, : old.in_channels] = old.weight
            new.bias.copy_(old.bias)
    unet.conv_in = new
    unet.register_to_config(in_channels=NUM_INPUT_CHANNELS)
    return unet


def load_network(run: Path, *, use_ema: bool = True) -> MimicBrushNetwork:
    """The network of a training run's last checkpoint, with its averaged (EMA) weights where it has them.

    Raises UserError where there is no checkpoint or it does not fit its config.
    """
    if not run.is_dir():
        raise UserError(f"{run}: no such training run; train one with `python train.py --config ...`")
    checkpoint_file = run / "checkpoints" / "last.ckpt"
    if not checkpoint_file.is_file():
        raise UserError(f"{checkpoint_file}: no checkpoint; train first with `python train.py --config ...`")
    seed, config = _read_run_config(run / "config.yaml")
    network = initialise(config, seed=seed)
    checkpoint = read_checkpoint(checkpoint_file)
    tensors = checkpoint["state_dict"] | (checkpoint.get("ema", {}) if use_ema else {})
    load_strictly(network, tensors, str(checkpoint_file), prefix="network.", may_lack=fetched_parts(config))
    return network.eval()


def fetched_parts(config: NetworkConfig) -> tuple[str, ...]:
    """Frozen parts that come from elsewhere and can be fetched again: checkpoints leave them out."""
    sources = {"autoencoder": config.autoencoder, "image_encoder": config.image_encoder, "shape_map": config.depth}
    return tuple(name for name, part in sources.items() if part is not None and part.pretrained is not None)


def read_checkpoint(path: Path) -> dict:
    """A checkpoint's tensors and plain values; nothing executable is ever loaded.

    Raises UserError where the file is damaged or not a checkpoint of train.py.
    """
    remedy = "delete it to train from the start, or copy it again"
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises half a dozen kinds for a damaged or foreign file
        raise UserError(f"{path}: not a readable checkpoint ({type(error).__name__}); {remedy}") from None
    if not isinstance(checkpoint, dict) or not {"state_dict", "global_step"} <= checkpoint.keys():
        raise UserError(f"{path}: not a checkpoint of train.py; {remedy}")
    return checkpoint


def load_strictly(
    module: nn.Module,
    tensors: dict[str, torch.Tensor],
    origin: str,
    *,
    prefix: str = "",
    may_lack: tuple[str, ...] = (),
) -> None:
    """Copy `tensors` into `module`; raises UserError naming missing, unexpected and misshaped ones.

    prefix: cut from the tensors' names; may_lack: parts of the module that need not be in the file.
    """
    tensors = {name.removeprefix(prefix): value for name, value in tensors.items()}
    own = module.state_dict()
    misshaped = [
        f"{name} is {tuple(value.shape)}, expected {tuple(own[name].shape)}"
        for name, value in tensors.items()
        if name in own and value.shape != own[name].shape
    ]
    unexpected = sorted(tensors.keys() - own.keys())
    missing = sorted(name for name in own.keys() - tensors.keys() if name.split(".")[0] not in may_lack)
    faults = [
        f"{len(names)} {kind} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
        for kind, names in (("missing", missing), ("unexpected", unexpected), ("misshaped", misshaped))
        if names
    ]
    if faults:
        raise UserError(f"{origin} does not fit this network: {'; '.join(faults)}; was it made with another config?")
    module.load_state_dict(tensors, strict=False)


def _imitative_start(config: NetworkConfig, reference: UNet2DConditionModel) -> UNet2DConditionModel:
    if config.imitative_unet.pretrained is None and not config.imitative_unet.arguments:
        start = copy.deepcopy(reference)
    else:
        start = load_part("imitative_unet", config.imitative_unet, UNet2DConditionModel)
    return widen_conv_in(start, config.conv_in)


def _shape_map(config: NetworkConfig) -> EdgeShape | DepthShape:
    if config.depth is None:
        return EdgeShape()
    return DepthShape(load_part("depth", config.depth, DepthAnythingForDepthEstimation), config.depth_input)


def _random_part(kind: type[T], arguments: dict) -> T:
    if issubclass(kind, PreTrainedModel):
        return kind(kind.config_class(**arguments))
    return kind(**arguments)


def _read_run_config(path: Path) -> tuple[int, NetworkConfig]:
    try:
        document = yaml.safe_load(path.read_text())
        return document["seed"], config_from_dict(NetworkConfig, document["network"])
    except (OSError, yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not the config of a training run ({error})") from None


def _resolve(pretrained: str) -> str:
    """`asset:NAME` -> the folder of weights shipped in this package; anything else as it is."""
    if not pretrained.startswith("asset:"):
        return pretrained
    return str(resources.files("mimicbrush") / "assets" / pretrained.removeprefix("asset:"))


def _check_sizes(network: MimicBrushNetwork, config: NetworkConfig) -> None:
    imitative, reference = network.imitative_unet.config, network.reference_unet.config
    if tuple(imitative.block_out_channels) != tuple(reference.block_out_channels):
        raise UserError(
            f"imitative_unet has widths {imitative.block_out_channels}, reference_unet {reference.block_out_channels};"
            " they share keys and values, so they must be equal"
        )
    halvings = len(network.autoencoder.config.block_out_channels) - 1
    if len(config.shape_channels) != halvings + 1:
        raise UserError(
            f"shape_channels has {len(config.shape_channels)} widths, an autoencoder of stride"
            f" {network.stride} needs {halvings + 1}"
        )
