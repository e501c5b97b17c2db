"""Train the small autoencoder that replaces Stable Diffusion's where no weights can be fetched."""

from __future__ import annotations

import torch
from diffusers import AutoencoderKL
from torch import Tensor

from mimicbrush.data.augment import random_colours
from mimicbrush.files import write_json
from mimicbrush.folder_lock import held
from mimicbrush.model.config import PartConfig
from mimicbrush.model.weights.parts import load_part
from mimicbrush.run_folder import claim
from mimicbrush.seeds import seed_of
from mimicbrush.training.autoencoder.config import AutoencoderConfig
from mimicbrush.training.autoencoder.reconstruction import latent_deviation, measure_reconstruction, read_squares
from mimicbrush.training.autoencoder.training_crops import TrainingCrops
from mimicbrush.training.step_loop import train_steps

NUM_SCALE_BATCHES = 16
"""Number of training batches from which the latents' scale is measured."""


def train_autoencoder(config: AutoencoderConfig) -> str:
    """Train or resume, measure on held-out pictures, and write the folder with its card."""
    heldout = {name: read_squares(pictures) for name, pictures in config.heldout.items()}
    torch.manual_seed(config.seed)
    autoencoder = load_initial(config).to(memory_format=memory_format_of(config))
    with held(config.output):
        claim(config.output, config, name="training.yaml")
        crops = TrainingCrops(config)
        seconds = train(autoencoder, crops, config)
        save(autoencoder, crops, config)
        card = {name: measure_reconstruction(autoencoder, squares) for name, squares in heldout.items()}
        write_json({"cpu_seconds_of_training": round(seconds), **card}, config.output / "card.json")
    measured = ", ".join(f"{name} {figures['psnr_db']:.2f} dB" for name, figures in card.items())
    return f"reconstruction on held-out pictures after {config.max_steps} steps: {measured}; card -> {config.output}"


def memory_format_of(config: AutoencoderConfig) -> torch.memory_format:
    """Choose the faster layout of tensors: on CPUs, group normalisation in bfloat16 is slow with channels last."""
    return torch.contiguous_format if config.precision == "bfloat16" else torch.channels_last


def load_initial(config: AutoencoderConfig) -> AutoencoderKL:
    """Load the weights to continue from, or draw random ones; raises UserError where they cannot be loaded."""
    part = PartConfig(pretrained=config.start, arguments=config.arguments)
    return load_part("autoencoder", part, AutoencoderKL)


def train(autoencoder: AutoencoderKL, crops: TrainingCrops, config: AutoencoderConfig) -> float:
    """Minimise differences of pixels and of image gradients, in place; returns the CPU seconds of all calls."""
    return train_steps(
        autoencoder,
        lambda step: _loss(autoencoder, crops, step, config),
        num_steps=config.max_steps,
        learning_rate=config.learning_rate,
        weight_decay=0.0,
        state=config.output / "state.pt",
        save_every=config.checkpoint_every,
    )


def save(autoencoder: AutoencoderKL, crops: TrainingCrops, config: AutoencoderConfig) -> None:
    """Measure the latents' scale and write the folder in half precision; in memory, the weights are float32 again."""
    autoencoder.eval()
    seen = torch.cat([crops.draw(step) for step in range(NUM_SCALE_BATCHES)])
    # The name would be the path of the initial weights, which means nothing on another machine.
    autoencoder.register_to_config(scaling_factor=1 / latent_deviation(autoencoder, seen), _name_or_path="")
    autoencoder.half().save_pretrained(config.output)
    autoencoder.float()


def _loss(autoencoder: AutoencoderKL, crops: TrainingCrops, step: int, config: AutoencoderConfig) -> Tensor:
    """Compute the loss of a step, which follows from seed and step alone."""
    generator = torch.Generator().manual_seed(seed_of(config.seed, "autoencoder step", step))
    images = random_colours(crops.draw(step), config.colours, generator) * 2 - 1
    images = images.contiguous(memory_format=memory_format_of(config))
    with torch.autocast("cpu", torch.bfloat16, enabled=config.precision == "bfloat16"):
        posterior = autoencoder.encode(images).latent_dist
        decoded = autoencoder.decode(posterior.sample(generator)).sample
    difference = decoded.float() - images
    gradients = difference.diff(dim=2).abs().mean() + difference.diff(dim=3).abs().mean()
    return (
        difference.abs().mean()
        + config.squared_weight * difference.pow(2).mean()
        + config.gradient_weight * gradients
        + config.kl_weight * posterior.kl().float().mean()
    )
