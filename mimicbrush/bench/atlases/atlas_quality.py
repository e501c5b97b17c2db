"""Quality of a trained atlas against CPU time, compared with the published networks and settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F

from mimicbrush.atlas.atlas_losses import draw_pixels
from mimicbrush.atlas.atlas_training import AtlasTraining, first_atlas
from mimicbrush.atlas.config import AtlasConfig, AtlasLossConfig
from mimicbrush.atlas.layered_atlas import PUBLISHED_SCALE, PublishedAtlas, published_atlas
from mimicbrush.atlas.stored_atlas import psnr_of
from mimicbrush.atlas.training_clip import TrainingClip
from mimicbrush.bench.atlases.config import AtlasBenchConfig
from mimicbrush.bench.atlases.world_clip import WorldClip, coordinate_error, world_clip
from mimicbrush.seeds import seed_of

PUBLISHED_BATCH, PUBLISHED_RATE = 10_000, 1e-4
PUBLISHED_LOSSES = AtlasLossConfig(global_steps=5000, mask_steps=10_000)
NUM_REPORTS = 8
"""Lines printed for each of the two."""


class PublishedTraining(AtlasTraining):
    """Training with the published optimiser: one learning rate, which stays."""

    learning_rate = PUBLISHED_RATE


class ReportedTraining:
    """A training that prints its PSNR at regular intervals."""

    def __init__(self, name: str, training: AtlasTraining, share: Callable[[], float]) -> None:
        self.name, self.training, self.share = name, training, share
        self.num_reports = 0
        self.psnrs: list[tuple[float, float]] = []
        """CPU seconds and PSNR of each report."""

    def run_step(self) -> None:
        training = self.training
        training.run_step()
        if self.share() * NUM_REPORTS >= self.num_reports + 1 or self.share() >= 1:
            self.num_reports = int(self.share() * NUM_REPORTS)
            psnr, seconds = psnr_of(training.render().reconstruction, training.clip.frames), training.cpu_seconds
            self.psnrs.append((seconds, psnr))
            print(f"{self.name}: step {training.step}, {seconds:.0f} CPU seconds, {psnr:.2f} dB", flush=True)


def bench_atlas(config: AtlasBenchConfig) -> None:
    """Print the PSNR of both as it rises with CPU time, and the coordinate errors of the trained atlases."""
    for position, number in enumerate(config.clips):
        clip = world_clip(number, num_frames=config.num_frames, width=config.width, flow=config.flow, seed=config.seed)
        print(f"clip {number} of the small world, {clip.training.shape}", flush=True)
        trained = _trained(clip, config)
        compared = _published(clip.training, config) if position == 0 and config.published_seconds else None
        _run_in_turns([trained, compared] if compared else [trained])
        if compared:
            _print_comparison(trained, compared)
        atlas = trained.training.atlas
        print(
            f"coordinate error: object {coordinate_error(atlas, clip, 'foreground'):.2f} pixels, background"
            f" {coordinate_error(atlas, clip, 'background'):.2f}",
            flush=True,
        )


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


def _trained(clip: WorldClip, config: AtlasBenchConfig) -> ReportedTraining:
    options = AtlasConfig(
        clip=Path("world"), masks=Path("world"), output=Path("none"), num_steps=config.num_steps, seed=config.seed
    )
    training = AtlasTraining(first_atlas(clip.training), clip.training, options)
    return ReportedTraining("trained atlas", training, lambda: training.step / config.num_steps)


def _published(clip: TrainingClip, config: AtlasBenchConfig) -> ReportedTraining:
    torch.manual_seed(config.seed)
    network = published_atlas()
    warm_up(network, clip, config)
    options = AtlasConfig(
        clip=Path("world"),
        masks=Path("world"),
        output=Path("none"),
        batch_size=PUBLISHED_BATCH,
        losses=PUBLISHED_LOSSES,
        seed=config.seed,
    )
    training = PublishedTraining(network, clip, options)
    for group in training.optimizer.param_groups:
        group["share"] = 1.0
    return ReportedTraining("published networks", training, lambda: training.cpu_seconds / config.published_seconds)


def _run_in_turns(trainings: list[ReportedTraining]) -> None:
    """Always advance the training that is behind by a step, so that both meet the same load of the machine."""
    while any(each.share() < 1 for each in trainings):
        min(trainings, key=lambda each: each.share()).run_step()


def _print_comparison(trained: ReportedTraining, published: ReportedTraining) -> None:
    seconds, wanted = published.psnrs[-1]
    reached = next((at for at, psnr in trained.psnrs if psnr >= wanted), None)
    found = "does not reach it" if reached is None else f"reached it within {reached:.0f}"
    print(f"published networks: {wanted:.2f} dB after {seconds:.0f} CPU seconds; the trained atlas {found}", flush=True)
