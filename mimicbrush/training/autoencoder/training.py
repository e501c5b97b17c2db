"""Train the small autoencoder that replaces Stable Diffusion's where no weights can be fetched."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from mimicbrush.data.augment import random_colours
from mimicbrush.data.decode import decode_image
from mimicbrush.data.shard_index import list_shards
from mimicbrush.data.shards import read_pairs
from mimicbrush.files import write_json
from mimicbrush.folder_lock import held
from mimicbrush.model.config import PartConfig
from mimicbrush.model.weights.parts import load_part
from mimicbrush.pictures.geometry import letterbox, resize
from mimicbrush.progress import progress_bar
from mimicbrush.run_folder import claim
from mimicbrush.training.autoencoder.config import AutoencoderConfig

NUM_SCALE_CROPS = 256
"""Number of training crops from which the latents' scale is measured."""


class Crops(IterableDataset):
    """Endless random crops of all pictures of the given shards, flipped at random."""

    def __init__(self, config: AutoencoderConfig) -> None:
        self.config = config
        self.images = [image for folder in config.shards for image in _images(folder)]

    def __iter__(self) -> Iterator[Tensor]:
        rng = random.Random(self.config.seed)
        for _ in count():
            for encoded in rng.sample(self.images, len(self.images)):
                yield _random_crop(decode_image(encoded, "RGB"), self.config, rng)


def train_autoencoder(config: AutoencoderConfig) -> None:
    """Train, measure on held-out pictures, and write the folder with its card."""
    heldout = _squares(config.heldout, config.judged_size)
    torch.manual_seed(config.seed)
    autoencoder = load_initial(config).to(memory_format=torch.channels_last)
    with held(config.output):
        claim(config.output, config, name="training.yaml")
        _train_and_save(autoencoder, heldout, config)


def _train_and_save(autoencoder: AutoencoderKL, heldout: Tensor, config: AutoencoderConfig) -> None:
    started = time.monotonic()
    train(autoencoder, config)
    minutes = (time.monotonic() - started) / 60
    seen = torch.stack(list(islice(Crops(config), NUM_SCALE_CROPS)))
    # The name would be the path of the initial weights, which means nothing on another machine.
    autoencoder.register_to_config(scaling_factor=1 / latent_deviation(autoencoder, seen), _name_or_path="")
    autoencoder.half().save_pretrained(config.output)
    psnr = reconstruction_psnr(autoencoder.float(), heldout)
    card = {"reconstruction_psnr_db": psnr, "pictures": len(heldout), "minutes": minutes}
    write_json(card, config.output / "card.json")
    measured = f"reconstruction PSNR {psnr:.2f} dB on {len(heldout)} held-out pictures"
    print(f"trained steps 1 to {config.max_steps}, {measured}: autoencoder and card -> {config.output}")


def load_initial(config: AutoencoderConfig) -> AutoencoderKL:
    """Load the weights to continue from, or draw random ones; raises UserError where they cannot be loaded."""
    part = PartConfig(pretrained=config.start, arguments=config.arguments)
    return load_part("autoencoder", part, AutoencoderKL)


def train(autoencoder: AutoencoderKL, config: AutoencoderConfig) -> None:
    """Minimise absolute differences of pixels and of image gradients, in place."""
    optimizer = torch.optim.AdamW(autoencoder.parameters(), lr=config.learning_rate, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, config.learning_rate, total_steps=config.max_steps)
    loader = DataLoader(Crops(config), batch_size=config.batch_size, num_workers=1, worker_init_fn=_silence_tracebacks)
    crops = iter(loader)
    generator = torch.Generator().manual_seed(config.seed)
    progress = progress_bar(range(config.max_steps), desc="autoencoder")
    for step in progress:
        images = random_colours(next(crops), config.colours, generator)
        loss = _loss(autoencoder, images * 2 - 1, config)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(autoencoder.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 50 == 0:
            progress.set_postfix_str(f"loss {loss.item():.4f}")


def _silence_tracebacks(worker: int) -> None:
    """Print no traceback if the parent process has ended; errors while reading reach the parent anyway."""
    sys.excepthook = lambda *_: None


@torch.no_grad()
def reconstruction_psnr(autoencoder: AutoencoderKL, images: Tensor) -> float:
    """Mean PSNR in dB over pictures (N, 3, S, S) in [0, 1], through the posterior's mode and 8-bit rounding."""
    values = []
    for batch in images.split(16):
        decoded = autoencoder.decode(autoencoder.encode(batch * 2 - 1).latent_dist.mode()).sample
        decoded = ((decoded / 2 + 0.5).clamp(0, 1) * 255).round() / 255
        values += (-10 * (decoded - batch).pow(2).flatten(1).mean(1).log10()).tolist()
    return sum(values) / len(values)


@torch.no_grad()
def latent_deviation(autoencoder: AutoencoderKL, images: Tensor) -> float:
    """Standard deviation of all latents: its inverse is the scaling factor."""
    latents = [autoencoder.encode(batch * 2 - 1).latent_dist.sample() for batch in images.split(16)]
    return torch.cat(latents).std().item()


def _loss(autoencoder: AutoencoderKL, images: Tensor, config: AutoencoderConfig) -> Tensor:
    """Compute the loss of images (B, 3, H, W) in [-1, 1]."""
    images = images.to(memory_format=torch.channels_last)
    posterior = autoencoder.encode(images).latent_dist
    difference = autoencoder.decode(posterior.sample()).sample - images
    gradients = difference.diff(dim=2).abs().mean() + difference.diff(dim=3).abs().mean()
    return difference.abs().mean() + config.gradient_weight * gradients + config.kl_weight * posterior.kl().mean()


def _images(folder: str | Path) -> list[bytes]:
    pairs = list(read_pairs(list_shards(folder)))
    return [image for pair in pairs for image in (pair.source, pair.reference) if image is not None]


def _squares(folder: str | Path, size: int) -> Tensor:
    """Read the source pictures of a folder of shards as squares, (N, 3, size, size)."""
    images = [decode_image(pair.source, "RGB") for pair in read_pairs(list_shards(folder))]
    return torch.stack([letterbox(image, size, fill=1.0)[0] for image in images])


def _random_crop(image: Tensor, config: AutoencoderConfig, rng: random.Random) -> Tensor:
    """Resize, crop and flip at random: (3, H, W) -> (3, crop, crop)."""
    height, width = image.shape[-2:]
    scale = max(rng.uniform(config.min_scale, 1.0), config.crop / min(height, width))
    image = resize(image, max(config.crop, round(height * scale)), max(config.crop, round(width * scale)))
    top, left = (rng.randint(0, side - config.crop) for side in image.shape[-2:])
    crop = image[:, top : top + config.crop, left : left + config.crop]
    return crop.flip(-1) if rng.random() < 0.5 else crop
