"""A trial of the network on its first batch: what the autoencoder sees and gives back, and one backward pass."""

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

NUM_TRIED = 8
"""Pictures of the batch that are tried: enough to judge, few enough for a CPU."""
NUM_IN_STEP = 2
"""Pairs of the backward pass."""
MIN_PSNR = 20.0
"""dB; the tiny preset's autoencoder has 26 to 31."""
LATENT_DEVIATIONS = (0.5, 2.0)
"""The noise schedule is made for latents with a standard deviation of about 1."""
HALF_A_GREY_LEVEL = 0.5 / 255
NUM_INPUTS_BEFORE_SHAPE = 9
"""Channels of the imitative U-Net before the shape latent's."""


class Trial(NamedTuple):
    """What became of the first pictures of a batch of n, at stride s."""

    batch: InpaintingBatch
    seen: Tensor
    """(n, 3, H, W): the masked sources as the autoencoder gets them, but in [0, 1]."""
    mask: Tensor
    """(n, 1, H / s, W / s): the mask channel of the imitative U-Net."""
    shape_map: Tensor
    """(n, 1, h, w)."""
    latent: Tensor
    """(n, 4, H / s, W / s), of the sources, scaled."""
    decoded: Tensor
    """(n, 3, H, W), of that latent."""


@torch.no_grad()
def try_batch(network: MimicBrushNetwork, batch: InpaintingBatch, generator: torch.Generator) -> Trial:
    """Condition on the pictures, watch what the autoencoder gets, and send the sources through it and back."""
    batch = InpaintingBatch(*(column[:NUM_TRIED] for column in batch))
    keep_shape = torch.ones(len(batch.source), dtype=torch.bool, device=batch.source.device)
    seen: list[Tensor] = []
    hook = network.autoencoder.encoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    try:
        conditions = network.condition(batch.source, batch.mask, batch.reference, keep_shape, generator)
    finally:
        hook.remove()
    latent = network.encode(batch.source, generator)
    return Trial(
        batch=batch,
        # References come first.
        seen=torch.cat(seen)[-len(batch.source) :].float() / 2 + 0.5,
        mask=conditions.mask,
        shape_map=network.shape_map(batch.source, keep_shape),
        latent=latent,
        decoded=network.decode(latent),
    )


def check_mask(trial: Trial) -> Iterator[Finding]:
    """1 is repainted: there the autoencoder must see black, and the network's mask channel must be 1."""
    hidden = trial.batch.mask >= 0.5
    stride = hidden.shape[-1] // trial.mask.shape[-1]
    share = F.avg_pool2d(hidden.float(), stride)
    faults = []
    if not _is_blackened(trial, hidden):
        inverted = " (it is black outside instead)" if _is_blackened(trial, ~hidden) else ""
        faults.append(f"the autoencoder must see black where the mask is 1 and the source elsewhere{inverted}")
    if not ((share < 1) | (trial.mask == 1)).all() or not ((share > 0) | (trial.mask == 0)).all():
        inverted = " (it is inverted)" if torch.equal(trial.mask, 1 - (share >= 0.5).to(trial.mask)) else ""
        faults.append(f"the mask channel must be 1 where the mask is 1 and 0 where it is 0{inverted}")
    if faults:
        said = f"{'; '.join(faults)}; weights trained so are of no use: mend geometry.blacken or network.shrink_mask"
        yield Finding("mask", "fault", said)
        return
    areas = hidden.float().flatten(1).mean(1)
    facts = f"{areas.mean():.0%} of a picture is hidden ({areas.min():.0%} to {areas.max():.0%})"
    if not 0 < areas.min() <= areas.max() < 1:
        yield Finding("mask", "warning", f"{facts}: hiding all or nothing teaches nothing; see data.batch.mask")
    else:
        yield Finding("mask", "ok", f"1 is repainted: black for the autoencoder, 1 in the mask channel; {facts}")


def check_round_trip(trial: Trial) -> Iterator[Finding]:
    """What the autoencoder loses of the sources, and whether its latents have the deviation that the noise has."""
    deviation = trial.latent.std().item()
    psnr = _psnr(trial.decoded, trial.batch.source)
    facts = f"decoded sources have {psnr:.1f} dB PSNR, latents a standard deviation of {deviation:.2f}"
    low, high = LATENT_DEVIATIONS
    if not (trial.latent.isfinite().all() and trial.decoded.isfinite().all()):
        yield Finding("VAE round trip", "fault", f"{facts}; copy the autoencoder's weights again")
    elif psnr < MIN_PSNR:
        said = f"{facts}; no edit can be better: expected {MIN_PSNR:.0f} dB or more; look at network.autoencoder"
        yield Finding("VAE round trip", "warning", f"{said}: its weights, its range (-1 to 1), its scaling_factor")
    elif not low < deviation < high:
        said = f"{facts}; expected about 1, as the noise has: correct scaling_factor in the autoencoder's config.json"
        yield Finding("VAE round trip", "warning", said)
    else:
        yield Finding("VAE round trip", "ok", facts)


def try_step(module: MimicBrushModule, pairs: PairBatch, precision: AbstractContextManager) -> Iterator[Finding]:
    """One forward and backward pass of the training step, no optimiser: which parameters get a gradient.

    Gradients are gone afterwards; the module knows what the step has cost.
    """
    few = PairBatch(*(column[:NUM_IN_STEP] for column in pairs))

    def step() -> float:
        with precision:
            loss = module.training_step(few, 0)["loss"]
        loss.backward()
        return loss.item()

    try:
        # Computed once in a run: no part of a step's cost.
        module.network.absent_tokens()
        loss, flops = count_flops(step)
        module.flops_per_image = flops / len(few.key)
        yield from _check_gradients(module, loss)
    finally:
        module.zero_grad(set_to_none=True)


def _check_gradients(module: MimicBrushModule, loss: float) -> Iterator[Finding]:
    trained = trained_parameters(module.network)
    gradients = {name for name, value in module.network.named_parameters() if value.grad is not None}
    unused, frozen = sorted(trained.keys() - gradients), sorted(gradients - trained.keys())
    broken = [name for name in gradients & trained.keys() if not trained[name].grad.isfinite().all()]
    if unused:
        said = f"{len(unused)} trained parameters get none, first {unused[0]}: many ranks would wait for them for ever"
        yield Finding("gradients", "fault", f"{said}; freeze them, or make the training step use them")
    if broken or not torch.tensor(loss).isfinite():
        said = f"the loss is {loss:.3g}, and {len(broken)} parameters get gradients that are not finite"
        yield Finding("gradients", "fault", f"{said}; try --run.precision 32-true, and look at the weights")
    if frozen:
        yield Finding("gradients", "fault", f"{len(frozen)} frozen parameters get one, first {frozen[0]}; detach them")
    still = [name for name, part in module.network.named_children() if _is_still(part)]
    # Its latent enters by weights that are zero at first, and learn before it does.
    waiting = [name for name in still if name == "shape_projector" and _shape_enters_by_zeros(module.network)]
    silent = [name for name in still if name not in waiting]
    if silent and not unused:
        said = f"all gradients of {', '.join(silent)} are zero, so it learns nothing: something multiplies it by zero"
        yield Finding("gradients", "warning", said)
    if not (unused or broken or frozen or silent):
        later = ", shape_projector from the second step on" if waiting else ""
        yield Finding("gradients", "ok", f"all {len(trained)} trained tensors get one{later}; first loss {loss:.3f}")


def _is_blackened(trial: Trial, hidden: Tensor) -> bool:
    difference = (trial.seen - trial.batch.source * ~hidden).abs()
    return bool(difference.max() < HALF_A_GREY_LEVEL)


def _psnr(images: Tensor, truth: Tensor) -> float:
    """Mean over pictures, in dB."""
    errors = (images - truth).pow(2).flatten(1).mean(1).clamp_min(1e-10)
    return (-10 * errors.log10()).mean().item()


def _is_still(part: torch.nn.Module) -> bool:
    gradients = [value.grad for value in trained_parameters(part).values() if value.grad is not None]
    return bool(gradients) and not any(gradient.any() for gradient in gradients)


def _shape_enters_by_zeros(network: MimicBrushNetwork) -> bool:
    return not network.imitative_unet.conv_in.weight[:, NUM_INPUTS_BEFORE_SHAPE:].any()
