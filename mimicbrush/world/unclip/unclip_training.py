"""Train the U-Net of the small Stable unCLIP, and write the model with its card and samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from diffusers import DDIMScheduler
from torch import Tensor, nn

from mimicbrush.diffusion.schedulers import prediction_target
from mimicbrush.files import write_json
from mimicbrush.folder_lock import held
from mimicbrush.hub.unclip_parts import UnclipParts, embed_prompts, image_condition, load_unclip
from mimicbrush.run_folder import claim, refuse_other_run
from mimicbrush.seeds import seed_of
from mimicbrush.training.muon import MuonAdamW
from mimicbrush.training.step_loop import train_steps
from mimicbrush.world.clip.captioned_renders import Captioned, render_captioned
from mimicbrush.world.sets.splits import TRAINING
from mimicbrush.world.unclip.config import UnclipTrainingConfig
from mimicbrush.world.unclip.encoded_renders import EncodedRenders, encode_renders
from mimicbrush.world.unclip.naming_loss import NamingHead, tapped_features
from mimicbrush.world.unclip.unclip_measures import measure_unclip, render_heldout
from mimicbrush.world.unclip.unclip_network import build_parts, fit_normalizer, save_parts

STATE, CARD = "state.pt", "card.json"
WHOLE, CUTOUT = 0, 1
"""Places of the two embeddings of a render."""
NOISE_POWER = 0.67
"""Timesteps are drawn as this power of a uniform number: high ones, where outlines are decided, more often."""
SQUARES = (1, 2, 4)
"""Sides of the squares, in latents, over which errors are averaged."""


class _Batch(NamedTuple):
    """Renders, noise and conditions from which a step is computed."""

    chosen: Tensor
    """(B,), numbers of the renders."""
    latents: Tensor
    """(B, 4, h, w), scaled."""
    noise: Tensor
    """As latents."""
    timesteps: Tensor
    """(B,)."""
    captions: list[str]
    """Empty for those left out."""
    classes: Tensor
    """(B, 2d), zeros for those left out."""


def train_unclip(config: UnclipTrainingConfig) -> str:
    """Render, train, write the model, measure it on held-out combinations, and write its card."""
    with held(config.output):
        refuse_other_run(config.output, config)
        torch.manual_seed(config.seed)
        parts = build_parts(config)
        # Only now, so that weights that do not fit can be replaced by others in the same folder.
        claim(config.output, config)
        renders = encode_renders(config.output / "encoded", render_training(config), parts)
        fit_normalizer(parts, renders.embeddings[:, WHOLE], is_new=config.start is None)
        seconds = train(parts, renders, config)
        save_parts(parts, config.output)
        figures = measure_unclip(load_unclip(str(config.output)), render_heldout(config), config)
        write_json({"cpu_seconds_of_training": round(seconds), **figures}, config.output / CARD)
    return f"{_summary(figures)}; model -> {config.output}"


def _summary(figures: dict) -> str:
    """The main figures in one line."""
    named = [
        f"from {name} {each['object']['mean']:.0%} of objects and {each['material']['mean']:.0%} of materials"
        for name, each in figures["samples"].items()
    ]
    plain, refined = (figures["inversion"][f"{name}_loss_db"]["mean"] for name in ("plain", "refined"))
    names = "; ".join(named)
    return f"right names on held-out combinations: {names}; inversion loses {plain:.1f} dB, refined {refined:.1f}"


def render_training(config: UnclipTrainingConfig) -> Captioned:
    """Render the training pictures, which are those of the small CLIP, so that its folder of renders can be copied."""
    return render_captioned(
        config.output / "renders",
        config.num_samples,
        size=config.image_size,
        seed=config.seed,
        purpose="clip",
        combinations=TRAINING,
    )


def train(parts: UnclipParts, renders: EncodedRenders, config: UnclipTrainingConfig) -> float:
    """Train the U-Net in place, from an interrupted run's state where there is one; return the CPU seconds."""
    scheduler = DDIMScheduler(**parts.schedule.as_options(), clip_sample=False)
    head = NamingHead(parts.unet)
    with tapped_features(parts.unet) as features:

        def compute_loss(step: int) -> Tensor:
            batch = _draw_batch(parts, renders, step, config)
            noisy = scheduler.add_noise(batch.latents, batch.noise, batch.timesteps)
            with torch.autocast("cpu", torch.bfloat16, enabled=config.precision == "bfloat16"):
                tokens = embed_prompts(parts, batch.captions)
                predicted = parts.unet(noisy, batch.timesteps, tokens, class_labels=batch.classes).sample
                naming = head(features[0], renders.masks[batch.chosen], renders.attributes[batch.chosen])
            target = prediction_target(scheduler, batch.latents, batch.noise, batch.timesteps)
            return multiscale_error(predicted.float() - target) + config.naming_weight * naming

        return train_steps(
            nn.ModuleDict({"unet": parts.unet.requires_grad_(True), "naming": head}),
            compute_loss,
            num_steps=config.max_steps,
            learning_rate=config.learning_rate,
            weight_decay=config.weight_decay,
            state=config.output / STATE,
            save_every=config.checkpoint_every,
            optimizer_class=MuonAdamW,
        )


def multiscale_error(errors: Tensor) -> Tensor:
    """Mean square of errors (B, C, h, w), plus that of their means over squares, so that outlines weigh more.

    The velocity that is expected given the noisy latents minimises every term (arXiv 2301.11093, section 3.3).
    """
    return sum((F.avg_pool2d(errors, side) if side > 1 else errors).square().mean() for side in SQUARES)


def _draw_batch(parts: UnclipParts, renders: EncodedRenders, step: int, config: UnclipTrainingConfig) -> _Batch:
    """Draw the batch of a step, which follows from seed and step alone."""
    # Further training sees other batches than the first one.
    generator = torch.Generator().manual_seed(seed_of(config.seed, "unclip step", step, config.start is not None))
    chosen = torch.randint(len(renders.latents), (config.batch_size,), generator=generator)
    latents = renders.latents[chosen].float()
    noise = torch.randn(latents.shape, generator=generator)
    uniform = torch.rand(config.batch_size, generator=generator)
    return _Batch(
        chosen=chosen,
        latents=latents,
        noise=noise,
        timesteps=spread_timesteps(uniform, parts.schedule.num_train_timesteps),
        captions=draw_captions([renders.captions[number] for number in chosen], generator, config),
        classes=draw_classes(parts, renders.embeddings[chosen], generator, config),
    )


def spread_timesteps(uniform: Tensor, num_timesteps: int) -> Tensor:
    """Turn uniform numbers (B,) from [0, 1) into timesteps (B,), high ones more often.

    One timestep from each of B equal parts makes the loss of a batch less noisy.
    """
    places = (torch.arange(len(uniform)) + uniform) / len(uniform)
    # The last place is rounded up to 1 about once in a million batches.
    return (places**NOISE_POWER * num_timesteps).long().clamp(max=num_timesteps - 1)


def draw_captions(captions: Sequence[str], generator: torch.Generator, config: UnclipTrainingConfig) -> list[str]:
    """Leave captions out at random."""
    is_kept = torch.rand(len(captions), generator=generator) >= config.text_drop_prob
    return [caption if kept else "" for caption, kept in zip(captions, is_kept.tolist(), strict=True)]


def draw_classes(
    parts: UnclipParts, embeddings: Tensor, generator: torch.Generator, config: UnclipTrainingConfig
) -> Tensor:
    """Class labels (B, 2d) of the embeddings (B, 2, d) of pictures and cut-out objects; zeros for those left out.

    Low noise levels are drawn more often than high ones, which leave little of the picture.
    """

    def draw() -> Tensor:
        return torch.rand(len(embeddings), 1, generator=generator)

    embeddings = torch.where(draw() < config.cutout_prob, embeddings[:, CUTOUT], embeddings[:, WHOLE])
    levels = (draw()[:, 0].square() * parts.image_noising_scheduler.config.num_train_timesteps).long()
    classes = image_condition(parts, embeddings.float(), noise_level=levels, generator=generator)
    return torch.where(draw() < config.image_drop_prob, 0.0, classes)
