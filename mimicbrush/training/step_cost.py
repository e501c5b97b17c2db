"""What a training step costs, in FLOPs and bytes, by counting: no weights, no GPU, nothing computed.

Fake tensors go through the parts of the step (shapes, dtypes and storages, but no values), so the full-size network is
counted in seconds on any machine. FLOPs are two for each multiplication with its addition, in matrix products,
convolutions and attention; nothing else is counted. Bytes are those of tensors: what the allocator, the libraries'
workspaces and the CUDA context need is not counted.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._pytree import tree_map_only

from mimicbrush.machine import GIBIBYTE
from mimicbrush.model.conditioning import DepthShape
from mimicbrush.model.config import NetworkConfig
from mimicbrush.model.network import Conditions, MimicBrushNetwork
from mimicbrush.model.weights.build import FROZEN_PARTS, TRAINED_PARTS
from mimicbrush.model.weights.parts import build_parts
from mimicbrush.pictures.geometry import blacken
from mimicbrush.training.config import OptimizerName, Precision, ReferenceGradient, TrainConfig
from mimicbrush.training.flops_and_bytes import LiveBytes, SavedBytes, count_flops
from mimicbrush.training.loss import prediction_loss
from mimicbrush.training.precision import COMPUTED_IN
from mimicbrush.training.run_setup import make_module, share_step

STATE_BYTES = {"adamw": 8, "adamw8bit": 2}
"""Optimiser state of one trained parameter: two moments."""
AVERAGE_BYTES = 4
"""The averaged weights, in float32."""
GRADIENT_BYTES = 4
"""Of one trained parameter: it is in float32, and so is its gradient."""
FORWARD = ("VAE, target", "VAE, conditions", "image tokens", "shape latent", "reference U-Net", "imitative U-Net")
"""Parts of a step before the backward pass, in order; small projections go with what they project."""
BACKWARD = "backward"


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Of one training step."""

    batch_size: int
    flops: dict[str, float]
    """Of one image, by part of the step."""
    weights: dict[str, int]
    """Bytes, by part of the network, in the precision in which they are held."""
    trained: dict[str, int]
    """Trained parameters, by part of the network; parts without any are left out."""
    gradients: int
    """Bytes."""
    optimizer_state: int
    """Bytes."""
    averaged: int
    """Bytes of the averaged weights."""
    saved: int
    """Bytes that the forward pass of the batch keeps for the backward pass, parameters left out."""
    activations: int
    """Bytes of everything else at the moment when most are in use: what is saved, and what is being computed."""

    @property
    def total_flops(self) -> float:
        """Of one image."""
        return sum(self.flops.values())

    @property
    def memory(self) -> int:
        """Bytes in use at most."""
        fixed = sum(self.weights.values()) + self.gradients + self.optimizer_state + self.averaged
        return fixed + self.activations

    def describe(self) -> str:
        """Two tables as text."""
        parts = [*self.flops.items(), ("all", self.total_flops)]
        lines = ["TFLOP an image"]
        lines += [f"  {name:34s} {flops / 1e12:9.3f} {flops / self.total_flops:6.1%}" for name, flops in parts]
        lines += [f"GiB, batches of {self.batch_size}"]
        return "\n".join(lines + [f"  {name:34s} {size / GIBIBYTE:9.3f}" for name, size in self._memory_items()])

    def _memory_items(self) -> Iterable[tuple[str, int]]:
        for name, size in self.weights.items():
            trained = self.trained.get(name)
            yield f"{name}, {trained / 1e6:.1f} M trained" if trained else f"{name}, frozen", size
        yield "gradients", self.gradients
        yield "optimiser state", self.optimizer_state
        yield "averaged weights", self.averaged
        yield "activations, at the peak", self.activations
        yield "(of these, saved for backward)", self.saved
        yield "all, at the peak", self.memory


def cost_of_run(config: TrainConfig) -> Cost:
    """Count the cost of a run's step on one of its devices from its config alone.

    Raises UserError where the sizes of a pretrained part are not to be had.
    """
    run = config.run
    config = share_step(config, run.num_nodes * (run.devices if isinstance(run.devices, int) else 1))
    # Counting needs no optimiser, which may not be installed here.
    countable = replace(config, recipe=replace(config.recipe, optimizer="adamw"))
    network = make_module(countable, shaped_network(config.network)).network
    return count_cost(
        network,
        batch_size=config.data.batch_size,
        precision=config.run.precision,
        optimizer=config.recipe.optimizer,
        accumulate=config.run.accumulate,
        shape_drop_prob=config.recipe.shape_drop_prob,
        reference_gradient=config.recipe.reference_gradient,
    )


def count_cost(
    network: MimicBrushNetwork,
    *,
    batch_size: int = 1,
    precision: Precision = "bf16-mixed",
    optimizer: OptimizerName = "adamw",
    averaged: bool = True,
    accumulate: int = 1,
    shape_drop_prob: float = 0.0,
    reference_gradient: ReferenceGradient = "full",
) -> Cost:
    """Count a training step of the network as it is: what is trained, in which dtypes, with checkpointing or without.

    The network may be of any device, meta among them, and stays untouched. precision: Lightning's; optimizer: one of
    STATE_BYTES; accumulate: batches for one step, of which the gradients of the former ones are kept; shape_drop_prob:
    share of the images whose depth is not computed; memory is that of batches in which all are; reference_gradient: the
    recipe's.
    """
    trained = {name: num_trained_of(part) for name, part in network.named_children()}
    num_trained = sum(trained.values())
    with FakeTensorMode():
        twin = fake_twin(network)
        parameters = [parameter for parameter in twin.parameters() if parameter.requires_grad]
        live, saved = LiveBytes(twin.parameters()), SavedBytes(twin.parameters())
        with live:
            # Lightning drops the last step's gradients after the forward pass.
            for parameter in parameters:
                parameter.grad = torch.empty_like(parameter)
            with torch.autocast("cpu", COMPUTED_IN[precision], enabled=precision != "32-true"), saved:
                loss, flops = _forward(twin, batch_size, reference_gradient)
            if accumulate == 1:
                twin.zero_grad()
            _, flops[BACKWARD] = count_flops(loss.backward)
    flops = {name: count / batch_size for name, count in flops.items()}
    if isinstance(network.shape_map, DepthShape):
        flops["shape latent"] *= 1 - shape_drop_prob
    gradients = sum(parameter.nbytes for parameter in parameters)
    return Cost(
        batch_size=batch_size,
        flops=flops,
        weights={name: num_bytes_of(part) for name, part in network.named_children()},
        trained={name: num for name, num in trained.items() if num},
        gradients=gradients,
        optimizer_state=STATE_BYTES[optimizer] * num_trained,
        averaged=AVERAGE_BYTES * num_trained * averaged,
        saved=saved.total,
        activations=live.peak - gradients,
    )


def shaped_network(config: NetworkConfig, *, train_reference: bool = False) -> MimicBrushNetwork:
    """The network without weights, on the meta device, frozen as in training.

    Raises UserError where the sizes of a pretrained part are not to be had.
    """
    given = (*TRAINED_PARTS, *FROZEN_PARTS, "reference_unet")
    network = MimicBrushNetwork(**build_parts(config, given), options=config.options).to("meta")
    for name in FROZEN_PARTS:
        getattr(network, name).requires_grad_(False).eval()
    network.reference_unet.requires_grad_(train_reference)
    return network


# --- The step -------------------------------------------------------------------------------------------------------


def _forward(
    network: MimicBrushNetwork, batch_size: int, reference_gradient: ReferenceGradient
) -> tuple[Tensor, dict[str, float]]:
    """The loss of a batch of nothing, and the FLOPs of each part of FORWARD."""
    size = network.size
    source, reference = torch.rand(2, batch_size, 3, size, size)
    mask = torch.ones(batch_size, 1, size, size)
    timestep, keep = torch.zeros(batch_size, dtype=torch.long), torch.ones(batch_size, dtype=torch.bool)
    pictures = torch.cat([reference, blacken(source, mask)])

    latent, of_target = count_flops(lambda: network.encode(source))
    latents, of_both = count_flops(lambda: network.encode(pictures))
    tokens, of_tokens = count_flops(lambda: network.image_tokens(reference))
    shape_latent, of_shape = count_flops(lambda: _shape_latent(network, source))
    reference_latent, background_latent = latents.chunk(2)
    conditions = Conditions(network.shrink_mask(mask), background_latent, shape_latent, tokens, reference_latent)
    tokens_seen = tokens if reference_gradient == "full" else tokens.detach()
    seen, of_reference = count_flops(lambda: network.reference_features(reference_latent, timestep, tokens_seen))
    predicted, of_imitative = count_flops(
        lambda: network.predict(latent, timestep, conditions, seen, keep_reference=keep)
    )
    loss = prediction_loss(predicted, torch.rand_like(latent), conditions.mask).whole.mean()
    flops = (of_target, of_both, of_tokens, of_shape, of_reference, of_imitative)
    return loss, dict(zip(FORWARD, flops, strict=True))


def _shape_latent(network: MimicBrushNetwork, source: Tensor) -> Tensor:
    """As the network's own, with depth for all: which pictures to leave out would depend on values."""
    if not isinstance(network.shape_map, DepthShape):
        return network.shape_latent(source, torch.ones(len(source), dtype=torch.bool))
    shape_map = network.shape_map.estimate(source)
    return network.shape_projector(shape_map.to(network.shape_projector.dtype)).float()


def fake_twin(network: MimicBrushNetwork) -> MimicBrushNetwork:
    """The same network with fake parameters and buffers, on the CPU: to be called where fake tensors are made."""
    fakes = {id(parameter): _fake(parameter) for parameter in network.parameters()}
    fakes |= {id(buffer): torch.empty(buffer.shape, dtype=buffer.dtype) for buffer in network.buffers()}
    twin = copy.deepcopy(network, fakes)
    # Not every step runs what is saved from pass to pass.
    twin.shape_map.absent_map = None
    for module in twin.modules():
        if isinstance(module, nn.LayerNorm | nn.GroupNorm):
            module.register_forward_pre_hook(_in_float32)
    return twin


def _fake(parameter: nn.Parameter) -> nn.Parameter:
    return nn.Parameter(torch.empty(parameter.shape, dtype=parameter.dtype), requires_grad=parameter.requires_grad)


def _in_float32(module: nn.Module, inputs: tuple) -> tuple:
    """Autocast computes norms in float32 on GPUs, and leaves them as they are on CPUs, where the fakes are."""
    return tree_map_only(Tensor, Tensor.float, inputs) if torch.is_autocast_enabled("cpu") else inputs


def state_bytes(num_trained: int, optimizer: OptimizerName) -> int:
    """Of the optimiser and the averaged weights: what a checkpoint holds beside the weights."""
    return num_trained * (STATE_BYTES[optimizer] + AVERAGE_BYTES)


def num_trained_of(module: nn.Module) -> int:
    """Parameters that the optimiser changes."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


def num_bytes_of(module: nn.Module) -> int:
    """Of its parameters."""
    return sum(parameter.nbytes for parameter in module.parameters())
