"""Quality of a trained atlas against CPU time, compared with the published networks and settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F

from mimicbrush.atlas.atlas_losses import draw_pixels
from mimicbrush.atlas.atlas_training import AtlasTraining
from mimicbrush.atlas.config import AtlasConfig, AtlasLossConfig
from mimicbrush.atlas.first_motion import first_atlas
from mimicbrush.atlas.layered_atlas import PUBLISHED_SCALE, PublishedAtlas, published_atlas
from mimicbrush.atlas.stored_atlas import psnr_of
from mimicbrush.atlas.training_clip import TrainingClip
from mimicbrush.bench.atlases.config import AtlasBenchConfig
from mimicbrush.bench.atlases.world_clip import WorldClip, coordinate_error, world_clip
from mimicbrush.errors import Terminated
from mimicbrush.run_state import RunState, undisturbed
from mimicbrush.seeds import seed_of

PUBLISHED_BATCH, PUBLISHED_RATE = 10_000, 1e-4
PUBLISHED_LOSSES = AtlasLossConfig(global_steps=5000, mask_steps=10_000)
NUM_REPORTS = 12
"""Lines printed for each of the two."""


class PublishedTraining(AtlasTraining):
    """Training with the published optimiser: one learning rate, which stays."""

    learning_rate = PUBLISHED_RATE


class ReportedTraining:
    """A training that prints its PSNR at regular intervals."""

    def __init__(self, name: str, training: AtlasTraining, share: Callable[[], float]) -> None:
        self.name, self.training, self.share = name, training, share
        self.num_reports = 0
        self.psnrs: list[tuple[int, float, float]] = []
        """Step, CPU seconds and PSNR of each report."""

    def run_step(self) -> None:
        training = self.training
        training.run_step()
        if self.share() * NUM_REPORTS >= self.num_reports + 1 or self.share() >= 1:
            self.num_reports = int(self.share() * NUM_REPORTS)
            psnr = psnr_of(training.render().reconstruction, training.clip.frames)
            self.psnrs.append((training.step, training.cpu_seconds, psnr))
            self.print_report(*self.psnrs[-1])

    def print_report(self, step: int, seconds: float, psnr: float) -> None:
        print(f"{self.name}: step {step}, {seconds:.0f} CPU seconds, {psnr:.2f} dB", flush=True)

    def state_dict(self) -> dict:
        return {"training": self.training.state_dict(), "num_reports": self.num_reports, "psnrs": self.psnrs}

    def load_state_dict(self, state: dict) -> None:
        """Continue from an earlier call, and print its reports again."""
        self.training.load_state_dict(state["training"])
        self.num_reports, self.psnrs = state["num_reports"], [tuple(report) for report in state["psnrs"]]
        for report in self.psnrs:
            self.print_report(*report)


def bench_atlas(config: AtlasBenchConfig) -> None:
    """Print the PSNR of both as it rises with CPU time, and the coordinate errors of the trained atlases."""
    for position, number in enumerate(config.clips):
        own = replace(config, clips=[number], published_seconds=0 if position else config.published_seconds)
        _bench_clip(number, own)


def _bench_clip(number: int, config: AtlasBenchConfig) -> None:
    """Train the atlas of a clip, and beside it the published networks if they are given any time."""
    clip = world_clip(number, num_frames=config.num_frames, width=config.width, flow=config.flow, seed=config.seed)
    # Only now, so that a mistaken option can be corrected and the command repeated.
    state = RunState(config.output / f"clip_{number}", config, free=("output",))
    print(f"clip {number} of the small world, {clip.training.shape}", flush=True)
    before = state.read()
    trained = _trained(clip, config)
    trainings = [trained]
    if config.published_seconds:
        trainings.append(_published(clip.training, config, is_new=before is None))
    for training in trainings if before else ():
        training.load_state_dict(before[training.name])
    _run_in_turns(trainings, state)
    if config.published_seconds:
        _print_comparison(*trainings)
    print(
        f"coordinate error: object {coordinate_error(trained.training.atlas, clip, 'foreground'):.2f} pixels,"
        f" background {coordinate_error(trained.training.atlas, clip, 'background'):.2f}",
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


def _published(clip: TrainingClip, config: AtlasBenchConfig, *, is_new: bool) -> ReportedTraining:
    """is_new: whether the networks need their warm-up, which a stored state contains."""
    torch.manual_seed(config.seed)
    network = published_atlas()
    if is_new:
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


def _run_in_turns(trainings: list[ReportedTraining], state: RunState) -> None:
    """Always advance the training that is behind by a step, so that both meet the same load of the machine."""

    def write() -> None:
        state.write({each.name: each.state_dict() for each in trainings})

    try:
        while any(each.share() < 1 for each in trainings):
            with undisturbed():
                min(trainings, key=lambda each: each.share()).run_step()
            if state.is_due:
                write()
    except (KeyboardInterrupt, Terminated):
        write()
        raise
    write()


def _print_comparison(trained: ReportedTraining, published: ReportedTraining) -> None:
    _, seconds, wanted = published.psnrs[-1]
    reached = next((at for _, at, psnr in trained.psnrs if psnr >= wanted), None)
    found = "does not reach it" if reached is None else f"reached it within {reached:.0f}"
    print(f"published networks: {wanted:.2f} dB after {seconds:.0f} CPU seconds; the trained atlas {found}", flush=True)
