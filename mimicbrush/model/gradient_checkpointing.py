"""Gradient checkpointing of the two U-Nets: the backward pass recomputes the activations of their blocks."""

from __future__ import annotations

from diffusers import UNet2DConditionModel
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mimicbrush.model.reference_attention import NO_CONTEXT, CapturedStates, ReferenceStates


def enable_gradient_checkpointing(unet: UNet2DConditionModel) -> None:
    """Keep only the inputs of each residual and transformer block; changes the U-Net in place."""
    unet.enable_gradient_checkpointing(_checkpoint)


def _checkpoint(block: nn.Module, *inputs: object) -> Tensor:
    """Call a block under torch's checkpoint; the states that its attention captures are returned as outputs.

    If the block wrote them into the context itself, that would be a side effect, which torch.compile cannot trace
    within a checkpoint, and which the recomputation would repeat.
    """
    context = next((value["context"] for value in inputs if isinstance(value, dict)), NO_CONTEXT)
    sinks = (context.captured, context.queries)

    def call(*inputs: object) -> tuple[Tensor, list[ReferenceStates]]:
        inner = [None if sink is None else CapturedStates() for sink in sinks]
        inner_kwargs = {"context": context._replace(captured=inner[0], queries=inner[1])}
        output = block(*(inner_kwargs if isinstance(value, dict) else value for value in inputs))
        return output, [{} if sink is None else sink.states for sink in inner]

    output, taken = checkpoint(call, *inputs, use_reentrant=False)
    for sink, states in zip(sinks, taken, strict=True):
        for name, state in states.items():
            sink[name] = state
    return output
