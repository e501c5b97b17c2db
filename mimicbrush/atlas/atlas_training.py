"""Train the atlas of a clip, and write it with its pictures."""

from __future__ import annotations

import math
import sys
import time
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from mimicbrush.atlas.atlas_losses import atlas_losses, draw_pixels
from mimicbrush.atlas.atlas_pictures import write_pictures, write_preview
from mimicbrush.atlas.config import ATLAS_FILE, AtlasConfig, AtlasTrainingConfig
from mimicbrush.atlas.first_motion import first_atlas
from mimicbrush.atlas.layered_atlas import LayeredAtlas
from mimicbrush.atlas.rendered_atlas import RenderedAtlas, native_resolution, render_atlas
from mimicbrush.atlas.stored_atlas import psnr_of, save_atlas
from mimicbrush.atlas.training_clip import (
    TrainingClip,
    find_difficulties,
    load_training_clip,
    read_clip,
    read_masks,
)
from mimicbrush.device import choose_device
from mimicbrush.errors import Terminated, UserError
from mimicbrush.files import read_object, whole, write_json
from mimicbrush.flow.raft_weights import load_raft
from mimicbrush.folder_lock import held
from mimicbrush.pictures.reading import read_mask_frames
from mimicbrush.pictures.writing import write_frames
from mimicbrush.progress import progress_bar
from mimicbrush.run_folder import claim, refuse_other_run
from mimicbrush.run_state import undisturbed
from mimicbrush.seeds import seed_of
from mimicbrush.tensor_files import DamagedFileError, tensor_fingerprint, torch_load, torch_save

STATE, CARD, CONTENT, MASKS = "state.pt", "card.json", "content.json", "masks.png"
FREE = ("save_every", "clip", "masks")
"""Options that may change when a run resumes; clip and masks are compared by their content."""
MAP_SHARE = 0.05
"""Learning rate of the maps, as a share of that of textures and opacities."""


class ClipContent(NamedTuple):
    """Digests of the clip and masks of an atlas, by which its folder recognises them."""

    clip: str
    masks: str | None
    """None where masks are made from a box."""


def make_atlas(config: AtlasConfig) -> str:
    """Read a clip, train its atlas, and write the atlas, its pictures and a card."""
    frames = read_clip(config.clip, num_frames=config.num_frames, short_side=config.short_side)
    masks = None
    if config.masks is not None:
        masks = read_masks(config.masks, frames, num_frames=config.num_frames, short_side=config.short_side)
    with held(config.output):
        refuse_other_run(config.output, config, free=FREE)
        content = content_of(frames, masks)
        _refuse_other_content(config.output, content, config)
        if (config.output / ATLAS_FILE).is_file():
            return f"the atlas of this clip is finished -> {config.output}"
        if masks is None and (config.output / MASKS).is_file():  # those with which this run began
            masks = read_mask_frames(config.output / MASKS)
        device = choose_device("auto")
        clip = load_training_clip(config, frames.to(device), masks, load_raft(config.flow).to(device))
        # Only now, so that unfit masks or boxes can be replaced by others in the same folder.
        claim(config.output, config, free=FREE)
        if config.masks is None:
            write_frames(clip.masks.cpu(), config.output / MASKS)
        write_json(content._asdict(), config.output / CONTENT)
        for line in find_difficulties(clip):
            print(f"warning: {line}", file=sys.stderr)
        psnr = train_atlas(clip, config, config.output)
    return f"atlas of {clip.shape}, reconstructed with {psnr:.1f} dB -> {config.output}"


def train_atlas(clip: TrainingClip, config: AtlasTrainingConfig, folder: Path) -> float:
    """Train the atlas of a clip, or resume its training, and write everything into a folder; returns its PSNR in dB."""
    training = AtlasTraining(first_atlas(clip), clip, config)
    training.run(folder)
    rendered = training.render()
    psnr = psnr_of(rendered.reconstruction, clip.frames)
    write_pictures(rendered, folder)
    write_json({"psnr": round(psnr, 2), "cpu_seconds_of_training": round(training.cpu_seconds)}, folder / CARD)
    # Last, because a folder that has it counts as finished.
    save_atlas(training.atlas, folder, psnr=psnr)
    return psnr


def content_of(frames: Tensor, masks: Tensor | None) -> ClipContent:
    """Digests of a clip's frames and masks."""
    return ClipContent(tensor_fingerprint(frames), None if masks is None else tensor_fingerprint(masks))


def stored_content(folder: Path) -> ClipContent | None:
    """The digests of the clip and masks from which a folder's atlas was begun; None if the folder does not say them."""
    path = folder / CONTENT
    return ClipContent(**read_object(path, *ClipContent._fields)) if path.is_file() else None


def _refuse_other_content(folder: Path, content: ClipContent, config: AtlasConfig) -> None:
    """Raise UserError if a folder's atlas was begun from other pictures than those that now lie at the same paths."""
    before = stored_content(folder)
    if before is None:
        return
    for name, old, new in zip(ClipContent._fields, before, content, strict=True):
        if old != new:
            raise UserError(
                f"{folder} holds the atlas of other pictures: it was not made from the {name} that"
                f" {getattr(config, name)} holds now; choose another output or delete the folder"
            )


class AtlasTraining:
    """The optimisation of an atlas, which resumes from its last state."""

    def __init__(self, atlas: LayeredAtlas, clip: TrainingClip, config: AtlasTrainingConfig) -> None:
        self.atlas, self.clip, self.config = atlas.to(clip.frames.device), clip, config
        maps = [weights for name, weights in atlas.named_parameters() if name.startswith("mappings.")]
        others = [weights for name, weights in atlas.named_parameters() if not name.startswith("mappings.")]
        self.optimizer = torch.optim.Adam(
            [
                {"params": others, "share": 1.0},
                {"params": maps, "share": MAP_SHARE},
            ]
        )
        self.step = 0
        self.cpu_seconds = 0.0

    def run(self, folder: Path) -> None:
        """Run the remaining steps; states and previews are written into the folder."""
        state = folder / STATE
        if state.is_file():
            self._read(state)
        with progress_bar(total=self.config.num_steps, initial=self.step, desc="atlas") as progress:
            try:
                while self.step < self.config.num_steps:
                    with undisturbed():
                        loss = self.run_step()
                    if self.step % 50 == 0:
                        progress.set_postfix_str(f"loss {loss:.1f}")
                    progress.update()
                    if self.step % self.config.save_every == 0 or self.step == self.config.num_steps:
                        self._write(state)
                        write_preview(self.render(), self.clip.frames, folder, self.step)
            except (KeyboardInterrupt, Terminated):
                self._write(state)
                raise

    def _read(self, state: Path) -> None:
        try:
            self.load_state_dict(torch_load(state))
        except DamagedFileError:
            raise UserError(
                f"{state} is damaged, so the training cannot resume; delete it, then run the command again"
            ) from None

    def _write(self, state: Path) -> None:
        with whole(state) as partial:
            torch_save(self.state_dict(), partial)

    def run_step(self) -> float:
        """Run one step on random pixels, which follow from the seed and the step's number."""
        started = time.process_time()
        config = self.config
        generator = torch.Generator().manual_seed(seed_of(config.seed, "atlas", self.step))
        pixels = draw_pixels(self.clip.shape, config.batch_size, generator, self.clip.frames.device)
        loss = sum(atlas_losses(self.atlas, self.clip, pixels, config.losses, self.step).values())
        self.optimizer.zero_grad()
        loss.backward()
        for group in self.optimizer.param_groups:
            group["lr"] = group["share"] * self.learning_rate
        self.optimizer.step()
        self.step += 1
        self.cpu_seconds += time.process_time() - started
        return loss.item()

    @property
    def learning_rate(self) -> float:
        """Learning rate of textures and opacities in the next step, which falls along a cosine."""
        return self.config.learning_rate * (1 + math.cos(math.pi * self.step / self.config.num_steps)) / 2

    def render(self) -> RenderedAtlas:
        """The layers of the clip, with atlas pictures in the resolution of the frames."""
        shape = self.clip.shape
        return render_atlas(
            self.atlas, shape, resolution=native_resolution(self.atlas, shape), device=self.clip.frames.device
        )

    def state_dict(self) -> dict:
        return {
            "atlas": self.atlas.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "cpu_seconds": self.cpu_seconds,
        }

    def load_state_dict(self, state: dict) -> None:
        self.atlas.load_state_dict(state["atlas"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.cpu_seconds = state["step"], state["cpu_seconds"]
