"""PSNR and CPU time of a trained atlas, compared with the published networks and settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from mimicbrush.atlas.atlas_losses import draw_pixels
from mimicbrush.atlas.atlas_training import AtlasTraining, first_atlas
from mimicbrush.atlas.config import AtlasConfig, AtlasLossConfig
from mimicbrush.atlas.layered_atlas import PUBLISHED_SCALE, PublishedAtlas, published_atlas
from mimicbrush.atlas.stored_atlas import psnr_of
from mimicbrush.atlas.training_clip import TrainingClip, estimate_flow
from mimicbrush.bench.atlases.config import AtlasBenchConfig
from mimicbrush.flow.raft_weights import load_raft
from mimicbrush.pictures.conversion import to_channels
from mimicbrush.seeds import seed_of
from mimicbrush.world.renderer.render import render
from mimicbrush.world.sets.draws import draw_clip

PUBLISHED_BATCH, PUBLISHED_RATE = 10_000, 1e-4
PUBLISHED_LOSSES = AtlasLossConfig(global_steps=5000, mask_steps=10_000)
NUM_REPORTS = 8
"""Lines printed for each of the two."""


class PublishedTraining(AtlasTraining):
    """Training with the published optimiser: one learning rate, which stays."""

    learning_rate = PUBLISHED_RATE


def bench_atlas(config: AtlasBenchConfig) -> None:
    """Print the PSNR of both as it rises with CPU time."""
    clip = world_clip(config)
    print(f"clip {config.clip} of the small world, {clip.shape}")
    options = AtlasConfig(
        clip=Path("world"), masks=Path("world"), output=Path("none"), num_steps=config.num_steps, seed=config.seed
    )
    trained = AtlasTraining(first_atlas(clip), clip, options)
    _run("trained atlas", trained, lambda: trained.step / config.num_steps)
    if not config.published_seconds:
        return
    torch.manual_seed(config.seed)
    network = published_atlas()
    warm_up(network, clip, config)
    published = PublishedTraining(
        network,
        clip,
        AtlasConfig(
            clip=Path("world"),
            masks=Path("world"),
            output=Path("none"),
            batch_size=PUBLISHED_BATCH,
            losses=PUBLISHED_LOSSES,
            seed=config.seed,
        ),
    )
    for group in published.optimizer.param_groups:
        group["share"] = 1.0
    _run("published networks", published, lambda: published.cpu_seconds / config.published_seconds)


def world_clip(config: AtlasBenchConfig) -> TrainingClip:
    """Render a clip with its true masks, cut to the rows around its object, and estimate its flow."""
    scenes = draw_clip(config.clip, seed=config.seed).motion.scenes(config.num_frames)
    rendered = [render(scene, config.width) for scene in scenes]
    height = 2 * config.width // 3
    rows = np.nonzero(sum(each.mask for each in rendered).sum(axis=1))[0]
    top = int(np.clip((rows.min() + rows.max() - height) // 2, 0, config.width - height))
    levels = [(np.clip(each.picture[top : top + height], 0, 1) * 255).round().astype(np.uint8) for each in rendered]
    frames = torch.stack([to_channels(picture) for picture in levels])
    masks = torch.stack([torch.from_numpy(each.mask[None, top : top + height] > 0.5).float() for each in rendered])
    return TrainingClip(frames, masks, *estimate_flow(load_raft(config.flow), frames))


def warm_up(network: PublishedAtlas, clip: TrainingClip, config: AtlasBenchConfig) -> None:
    """Teach both maps the scaled coordinates of pixels; this time is not counted."""
    optimizer = torch.optim.Adam(network.mappings.parameters(), lr=PUBLISHED_RATE)
    for step in range(config.warm_up_steps):
        generator = torch.Generator().manual_seed(seed_of(config.seed, "atlas warm-up", step))
        frame, y, x = draw_pixels(clip.shape, PUBLISHED_BATCH, generator, clip.frames.device)
        points = clip.shape.normalise(x.float(), y.float(), frame.float())
        wanted = PUBLISHED_SCALE * points[:, :2]
        loss = sum(F.mse_loss(mapping(points), wanted) for mapping in network.mappings.values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def _run(name: str, training: AtlasTraining, share: Callable[[], float]) -> None:
    reports = 0
    while share() < 1:
        training.run_step()
        if share() * NUM_REPORTS >= reports + 1 or share() >= 1:
            reports = int(share() * NUM_REPORTS)
            psnr = psnr_of(training.render().reconstruction, training.clip.frames)
            print(f"{name}: step {training.step}, {training.cpu_seconds:.0f} CPU seconds, {psnr:.2f} dB", flush=True)
