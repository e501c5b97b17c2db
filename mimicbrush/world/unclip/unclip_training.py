"""Train the U-Net of the small Stable unCLIP, and write the model with its card and samples."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from diffusers import DDIMScheduler
from torch import Tensor

from mimicbrush.diffusion.schedulers import prediction_target
from mimicbrush.files import write_json
from mimicbrush.folder_lock import held
from mimicbrush.hub.unclip_parts import UnclipParts, embed_prompts, image_condition, load_unclip
from mimicbrush.run_folder import claim, refuse_other_run
from mimicbrush.seeds import seed_of
from mimicbrush.training.step_loop import train_steps
from mimicbrush.world.clip.captioned_renders import Captioned, render_captioned
from mimicbrush.world.sets.splits import TRAINING
from mimicbrush.world.unclip.config import UnclipTrainingConfig
from mimicbrush.world.unclip.encoded_renders import EncodedRenders, encode_renders
from mimicbrush.world.unclip.unclip_measures import measure_unclip, render_heldout
from mimicbrush.world.unclip.unclip_network import build_parts, fit_normalizer, save_parts

STATE, CARD = "state.pt", "card.json"
WHOLE, CUTOUT = 0, 1
"""Places of the two embeddings of a render."""


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
    lost = figures["inversion"]["loss_db"]["mean"]
    return f"right names on held-out combinations: {'; '.join(named)}; inversion loses {lost:.1f} dB"


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
    return train_steps(
        parts.unet.requires_grad_(True),
        lambda step: _loss(parts, scheduler, renders, step, config),
        num_steps=config.max_steps,
        learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
        state=config.output / STATE,
        save_every=config.checkpoint_every,
    )


def _loss(
    parts: UnclipParts, scheduler: DDIMScheduler, renders: EncodedRenders, step: int, config: UnclipTrainingConfig
) -> Tensor:
    """Mean squared error of the velocity, on a batch that follows from seed and step alone."""
    # Further training sees other batches than the first one.
    generator = torch.Generator().manual_seed(seed_of(config.seed, "unclip step", step, config.start is not None))
    chosen = torch.randint(len(renders.latents), (config.batch_size,), generator=generator)
    latents = renders.latents[chosen].float()
    noise = torch.randn(latents.shape, generator=generator)
    # One timestep in each of equal parts of the schedule makes the loss of a batch less noisy.
    places = torch.arange(config.batch_size) + torch.rand(config.batch_size, generator=generator)
    timesteps = (places / config.batch_size * parts.schedule.num_train_timesteps).long()
    captions = draw_captions([renders.captions[number] for number in chosen], generator, config)
    classes = draw_classes(parts, renders.embeddings[chosen], generator, config)
    noisy = scheduler.add_noise(latents, noise, timesteps)
    with torch.autocast("cpu", torch.bfloat16, enabled=config.precision == "bfloat16"):
        tokens = embed_prompts(parts, captions)
        predicted = parts.unet(noisy, timesteps, tokens, class_labels=classes).sample
    return F.mse_loss(predicted.float(), prediction_target(scheduler, latents, noise, timesteps))


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
