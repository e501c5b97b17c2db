"""Run the network on its first batch and check masks, reconstruction and gradients."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mimicbrush.data.batch import InpaintingBatch
from mimicbrush.data.decode import PairBatch
from mimicbrush.model.network import MimicBrushNetwork
from mimicbrush.training.doctor.findings import Finding
from mimicbrush.training.flops_and_bytes import count_flops
from mimicbrush.training.module import MimicBrushModule
from mimicbrush.training.trainable import trained_parameters

NUM_PICTURES = 8
"""Number of pictures that are checked; few, because of CPUs."""
NUM_BACKWARD_PAIRS = 2
"""Number of pairs in the backward pass."""
MIN_PSNR = 20.0
"""Smallest reconstruction PSNR without a warning, in dB; the tiny preset's autoencoder has 26 to 31."""
LATENT_DEVIATIONS = (0.5, 2.0)
"""Limits of the latents' standard deviation, for which the noise schedule expects about 1."""
HALF_A_GREY_LEVEL = 0.5 / 255
NUM_INPUTS_BEFORE_SHAPE = 9
"""Input channels of the imitative U-Net before those of the shape latent."""


class FirstBatch(NamedTuple):
    """First n pictures of a batch, and what the network computes of them, at stride s."""

    batch: InpaintingBatch
    seen: Tensor
    """(n, 3, H, W), masked sources as the autoencoder's input, but in [0, 1]."""
    mask: Tensor
    """(n, 1, H / s, W / s), mask channel of the imitative U-Net."""
    shape_map: Tensor
    """(n, 1, h, w), shape maps."""
    latent: Tensor
    """(n, 4, H / s, W / s), scaled latents of the sources."""
    decoded: Tensor
    """(n, 3, H, W), sources decoded from these latents."""


@torch.no_grad()
def run_batch(network: MimicBrushNetwork, batch: InpaintingBatch, generator: torch.Generator) -> FirstBatch:
    """Compute conditions, record the autoencoder's input, and encode and decode the sources."""
    batch = InpaintingBatch(*(column[:NUM_PICTURES] for column in batch))
    keep_shape = torch.ones(len(batch.source), dtype=torch.bool, device=batch.source.device)
    seen: list[Tensor] = []
    hook = network.autoencoder.encoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    try:
        conditions = network.condition(batch.source, batch.mask, batch.reference, keep_shape, generator)
    finally:
        hook.remove()
    latent = network.encode(batch.source, generator)
    return FirstBatch(
        batch=batch,
        # The references are encoded first.
        seen=torch.cat(seen)[-len(batch.source) :].float() / 2 + 0.5,
        mask=conditions.mask,
        shape_map=network.shape_map(batch.source, keep_shape),
        latent=latent,
        decoded=network.decode(latent),
    )


def check_mask(first: FirstBatch) -> Iterator[Finding]:
    """Check that masked pixels (1) are black for the autoencoder and 1 in the network's mask channel."""
    hidden = first.batch.mask >= 0.5
    stride = hidden.shape[-1] // first.mask.shape[-1]
    share = F.avg_pool2d(hidden.float(), stride)
    faults = []
    if not _is_blackened(first, hidden):
        inverted = " (it is black outside instead)" if _is_blackened(first, ~hidden) else ""
        faults.append(f"the autoencoder must see black where the mask is 1 and the source elsewhere{inverted}")
    if not ((share < 1) | (first.mask == 1)).all() or not ((share > 0) | (first.mask == 0)).all():
        inverted = " (it is inverted)" if torch.equal(first.mask, 1 - (share >= 0.5).to(first.mask)) else ""
        faults.append(f"the mask channel must be 1 where the mask is 1 and 0 where it is 0{inverted}")
    if faults:
        remedy = "weights trained like this are useless: fix geometry.blacken or network.shrink_mask"
        yield Finding("mask", "fault", f"{'; '.join(faults)}; {remedy}")
        return
    areas = hidden.float().flatten(1).mean(1)
    facts = f"{areas.mean():.0%} of a picture is hidden ({areas.min():.0%} to {areas.max():.0%})"
    if not 0 < areas.min() <= areas.max() < 1:
        yield Finding("mask", "warning", f"{facts}: nothing is learned from hiding all or nothing; see data.batch.mask")
    else:
        yield Finding("mask", "ok", f"1 is repainted: black for the autoencoder, 1 in the mask channel; {facts}")


def check_round_trip(first: FirstBatch) -> Iterator[Finding]:
    """Check the autoencoder's reconstruction, and the standard deviation of its latents."""
    deviation = first.latent.std().item()
    psnr = _psnr(first.decoded, first.batch.source)
    facts = f"decoded sources have {psnr:.1f} dB PSNR, latents a standard deviation of {deviation:.2f}"
    low, high = LATENT_DEVIATIONS
    if not (first.latent.isfinite().all() and first.decoded.isfinite().all()):
        yield Finding("VAE round trip", "fault", f"{facts}; copy the autoencoder's weights again")
    elif psnr < MIN_PSNR:
        expected = f"no edit can be better: expected {MIN_PSNR:.0f} dB or more"
        remedy = "check network.autoencoder: its weights, its range (-1 to 1), its scaling_factor"
        yield Finding("VAE round trip", "warning", f"{facts}; {expected}; {remedy}")
    elif not low < deviation < high:
        remedy = "expected about 1, as the noise has: correct scaling_factor in the autoencoder's config.json"
        yield Finding("VAE round trip", "warning", f"{facts}; {remedy}")
    else:
        yield Finding("VAE round trip", "ok", facts)


def check_gradients(module: MimicBrushModule, pairs: PairBatch, precision: AbstractContextManager) -> Iterator[Finding]:
    """Check by one training step without optimiser that exactly the trained parameters get gradients.

    Gradients are removed afterwards. The FLOPs of the step are stored in the module.
    """
    few = PairBatch(*(column[:NUM_BACKWARD_PAIRS] for column in pairs))

    def step() -> float:
        with precision:
            loss = module.training_step(few, 0)["loss"]
        loss.backward()
        return loss.item()

    try:
        # Computed once in a run, so not part of a step's cost.
        module.network.absent_tokens()
        loss, flops = count_flops(step)
        module.flops_per_image = flops / len(few.key)
        yield from _gradient_findings(module, loss)
    finally:
        module.zero_grad(set_to_none=True)


def _gradient_findings(module: MimicBrushModule, loss: float) -> Iterator[Finding]:
    trained = trained_parameters(module.network)
    gradients = {name for name, value in module.network.named_parameters() if value.grad is not None}
    unused, frozen = sorted(trained.keys() - gradients), sorted(gradients - trained.keys())
    broken = [name for name in gradients & trained.keys() if not trained[name].grad.isfinite().all()]
    if unused:
        facts = (
            f"{len(unused)} trained parameters get none, first {unused[0]}: several ranks would wait for them for ever"
        )
        yield Finding("gradients", "fault", f"{facts}; freeze them, or make the training step use them")
    if broken or not torch.tensor(loss).isfinite():
        facts = f"the loss is {loss:.3g}, and {len(broken)} parameters get gradients that are not finite"
        yield Finding("gradients", "fault", f"{facts}; try --run.precision 32-true, and check the weights")
    if frozen:
        yield Finding("gradients", "fault", f"{len(frozen)} frozen parameters get one, first {frozen[0]}; detach them")
    without_effect = [name for name, part in module.network.named_children() if _has_zero_gradients(part)]
    # The shape latent enters through weights that start at zero and learn first.
    waiting = [name for name in without_effect if name == "shape_projector" and _shape_enters_by_zeros(module.network)]
    silent = [name for name in without_effect if name not in waiting]
    if silent and not unused:
        facts = f"all gradients of {', '.join(silent)} are zero, so it learns nothing: something multiplies it by zero"
        yield Finding("gradients", "warning", facts)
    if not (unused or broken or frozen or silent):
        later = ", shape_projector from the second step on" if waiting else ""
        yield Finding("gradients", "ok", f"all {len(trained)} trained tensors get one{later}; first loss {loss:.3f}")


def _is_blackened(first: FirstBatch, hidden: Tensor) -> bool:
    difference = (first.seen - first.batch.source * ~hidden).abs()
    return bool(difference.max() < HALF_A_GREY_LEVEL)


def _psnr(images: Tensor, truth: Tensor) -> float:
    """PSNR in dB, mean over pictures."""
    errors = (images - truth).pow(2).flatten(1).mean(1).clamp_min(1e-10)
    return (-10 * errors.log10()).mean().item()


def _has_zero_gradients(part: torch.nn.Module) -> bool:
    gradients = [value.grad for value in trained_parameters(part).values() if value.grad is not None]
    return bool(gradients) and not any(gradient.any() for gradient in gradients)


def _shape_enters_by_zeros(network: MimicBrushNetwork) -> bool:
    return not network.imitative_unet.conv_in.weight[:, NUM_INPUTS_BEFORE_SHAPE:].any()
