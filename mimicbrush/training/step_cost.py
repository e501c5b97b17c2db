"""Count the cost of a training step in FLOPs and bytes, without weights, without a GPU and without computing.

Fake tensors go through the parts of the step (shapes, dtypes and storages, but no values), so the full-size network is
counted in seconds on any machine. A multiplication with its addition counts as two FLOPs, in matrix products,
convolutions and attention; nothing else is counted. Bytes are those of tensors, without the allocator's gaps, the
libraries' workspaces and the CUDA context.
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
from mimicbrush.model.weights.parts import FROZEN_PARTS, TRAINED_PARTS, build_parts
from mimicbrush.pictures.geometry import blacken
from mimicbrush.training.config import OptimizerName, ReferenceGradient, TrainConfig, TrainPrecision
from mimicbrush.training.flops_and_bytes import LiveBytes, SavedBytes, count_flops
from mimicbrush.training.loss import prediction_loss
from mimicbrush.training.precision import COMPUTE_DTYPES
from mimicbrush.training.run_setup import make_module, share_step

STATE_BYTES = {"adamw": 8, "adamw8bit": 2, "muon": 4}
"""Bytes of optimiser state of one trained parameter, by optimiser: two moments, or Muon's only one."""
AVERAGE_BYTES = 4
"""Bytes of the averaged weight of one trained parameter, in float32."""
GRADIENT_BYTES = 4
"""Bytes of the gradient of one trained parameter, in float32."""
FORWARD = ("VAE, target", "VAE, conditions", "image tokens", "shape latent", "reference U-Net", "imitative U-Net")
"""Parts of a step before the backward pass, in order; small projections count with their inputs."""
BACKWARD = "backward"


@dataclass(frozen=True, kw_only=True)
class StepCost:
    """Counted cost of one training step."""

    batch_size: int
    flops: dict[str, float]
    """FLOPs of one image, by part of the step."""
    weights: dict[str, int]
    """Bytes of weights by part of the network, in their own precision."""
    trained: dict[str, int]
    """Number of trained parameters by part of the network; parts without any are left out."""
    gradients: int
    """Bytes of all gradients."""
    optimizer_state: int
    """Bytes of the optimiser's moments."""
    averaged: int
    """Bytes of the averaged weights."""
    saved: int
    """Bytes that the forward pass of the batch keeps for the backward pass, without parameters."""
    activations: int
    """Bytes of all other tensors at the peak: those kept for the backward pass, and intermediate ones."""

    @property
    def total_flops(self) -> float:
        """FLOPs of one image, all parts together."""
        return sum(self.flops.values())

    @property
    def memory(self) -> int:
        """Bytes in use at the peak."""
        fixed = sum(self.weights.values()) + self.gradients + self.optimizer_state + self.averaged
        return fixed + self.activations

    def describe(self) -> str:
        """Format FLOPs and bytes as two tables."""
        parts = [*self.flops.items(), ("all", self.total_flops)]
        lines = ["TFLOP per image"]
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


def cost_of_run(config: TrainConfig) -> StepCost:
    """Count the cost of a run's step on one of its devices from its config alone.

    Raises UserError where the sizes of a pretrained part cannot be found.
    """
    run = config.run
    config = share_step(config, run.num_nodes * (run.devices if isinstance(run.devices, int) else 1))
    # Counting needs no optimiser; adamw8bit may not be installed here.
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
    precision: TrainPrecision = "bf16-mixed",
    optimizer: OptimizerName = "adamw",
    averaged: bool = True,
    accumulate: int = 1,
    shape_drop_prob: float = 0.0,
    reference_gradient: ReferenceGradient = "full",
) -> StepCost:
    """Count a training step of the network with its trained parameters, dtypes and gradient checkpointing.

    The network may be on any device, also meta, and stays unchanged. precision: as Lightning names it.
    accumulate: batches of one step; from 2 on, gradients are kept between them. shape_drop_prob: share of the images
    whose depth is not computed; memory is counted for batches in which it is. reference_gradient: as in the recipe.
    """
    trained = {name: num_trained_of(part) for name, part in network.named_children()}
    num_trained = sum(trained.values())
    with FakeTensorMode():
        twin = fake_twin(network)
        parameters = [parameter for parameter in twin.parameters() if parameter.requires_grad]
        live, saved = LiveBytes(twin.parameters()), SavedBytes(twin.parameters())
        with live:
            # Lightning frees the gradients of the last step only after the forward pass.
            for parameter in parameters:
                parameter.grad = torch.empty_like(parameter)
            with torch.autocast("cpu", COMPUTE_DTYPES[precision], enabled=precision != "32-true"), saved:
                loss, flops = _forward(twin, batch_size, reference_gradient)
            if accumulate == 1:
                twin.zero_grad()
            _, flops[BACKWARD] = count_flops(loss.backward)
    flops = {name: count / batch_size for name, count in flops.items()}
    if isinstance(network.shape_map, DepthShape):
        flops["shape latent"] *= 1 - shape_drop_prob
    gradients = sum(parameter.nbytes for parameter in parameters)
    return StepCost(
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
    """Build the network without memory for weights, on the meta device, frozen as in training.

    Raises UserError where the sizes of a pretrained part cannot be found.
    """
    all_parts = (*TRAINED_PARTS, *FROZEN_PARTS, "reference_unet")
    network = MimicBrushNetwork(**build_parts(config, empty=all_parts), options=config.options).to("meta")
    for name in FROZEN_PARTS:
        getattr(network, name).requires_grad_(False).eval()
    network.reference_unet.requires_grad_(train_reference)
    return network


# --- The step -------------------------------------------------------------------------------------------------------


def _forward(
    network: MimicBrushNetwork, batch_size: int, reference_gradient: ReferenceGradient
) -> tuple[Tensor, dict[str, float]]:
    """Compute the loss of a batch of fake tensors, and the FLOPs of each part in FORWARD."""
    size = network.size
    source, reference = torch.rand(2, batch_size, 3, size, size)
    mask = torch.ones(batch_size, 1, size, size)
    timestep, keep = torch.zeros(batch_size, dtype=torch.long), torch.ones(batch_size, dtype=torch.bool)
    pictures = torch.cat([reference, blacken(source, mask)])

    latent, target_flops = count_flops(lambda: network.encode(source))
    latents, conditions_flops = count_flops(lambda: network.encode(pictures))
    tokens, tokens_flops = count_flops(lambda: network.image_tokens(reference))
    shape_latent, shape_flops = count_flops(lambda: _shape_latent(network, source))
    reference_latent, background_latent = latents.chunk(2)
    conditions = Conditions(network.shrink_mask(mask), background_latent, shape_latent, tokens, reference_latent)
    reference_tokens = tokens if reference_gradient == "full" else tokens.detach()
    features, reference_flops = count_flops(
        lambda: network.reference_features(reference_latent, timestep, reference_tokens)
    )
    predicted, imitative_flops = count_flops(
        lambda: network.predict(latent, timestep, conditions, features, keep_reference=keep)
    )
    loss = prediction_loss(predicted, torch.rand_like(latent), conditions.mask).whole.mean()
    flops = (target_flops, conditions_flops, tokens_flops, shape_flops, reference_flops, imitative_flops)
    return loss, dict(zip(FORWARD, flops, strict=True))


def _shape_latent(network: MimicBrushNetwork, source: Tensor) -> Tensor:
    """Compute the shape latent with the depth of all pictures; a choice of pictures would depend on values."""
    if not isinstance(network.shape_map, DepthShape):
        return network.shape_latent(source, torch.ones(len(source), dtype=torch.bool))
    shape_map = network.shape_map.estimate(source)
    return network.shape_projector(shape_map.to(network.shape_projector.dtype)).float()


def fake_twin(network: MimicBrushNetwork) -> MimicBrushNetwork:
    """Copy the network with fake parameters and buffers on the CPU; to be called in a FakeTensorMode."""
    fakes = {id(parameter): _fake(parameter) for parameter in network.parameters()}
    fakes |= {id(buffer): torch.empty(buffer.shape, dtype=buffer.dtype) for buffer in network.buffers()}
    twin = copy.deepcopy(network, fakes)
    # Count the map of no shape, too, which is cached after the first step.
    twin.shape_map.absent_map = None
    for module in twin.modules():
        if isinstance(module, nn.LayerNorm | nn.GroupNorm):
            module.register_forward_pre_hook(_in_float32)
    return twin


def _fake(parameter: nn.Parameter) -> nn.Parameter:
    return nn.Parameter(torch.empty(parameter.shape, dtype=parameter.dtype), requires_grad=parameter.requires_grad)


def _in_float32(module: nn.Module, inputs: tuple) -> tuple:
    """Convert inputs to float32, as autocast does for norms on GPUs, but not on CPUs, where the fakes are."""
    return tree_map_only(Tensor, Tensor.float, inputs) if torch.is_autocast_enabled("cpu") else inputs


def state_bytes(num_trained: int, optimizer: OptimizerName) -> int:
    """Bytes of optimiser state and averaged weights, which a checkpoint holds beside the weights."""
    return num_trained * (STATE_BYTES[optimizer] + AVERAGE_BYTES)


def num_trained_of(module: nn.Module) -> int:
    """Count the parameters that the optimiser changes."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


def num_bytes_of(module: nn.Module) -> int:
    """Count the bytes of a module's parameters."""
    return sum(parameter.nbytes for parameter in module.parameters())
