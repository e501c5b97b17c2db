"""A source clip ready to be edited: the network tuned on it, its latents, and their inversion."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import NamedTuple

import torch
from torch import Tensor

from mimicbrush.diffusion.ddim import DdimStep
from mimicbrush.diffusion.frame_sampling import OnSampledStep, SourceLatents
from mimicbrush.editors.genvideo.clip_denoiser import ClipCondition, ClipDenoiser
from mimicbrush.editors.genvideo.masked_sampling import (
    Reconstruction,
    invert_clip,
    reconstruct_clip,
)
from mimicbrush.editors.genvideo.one_shot_tuning import ClipTuning, TunedClip
from mimicbrush.editors.genvideo.tuned_folder import TunedFolder
from mimicbrush.editors.genvideo.work_progress import WorkProgress
from mimicbrush.folder_lock import held
from mimicbrush.hub.unclip_parts import embed_pictures
from mimicbrush.requests import Edited
from mimicbrush.run_state import RunState
from mimicbrush.seeds import seed_of

PASSES_OF_A_TUNING_STEP = 3
"""Cost of a tuning step in passes of the network: its backward pass costs two."""


class SourceClip(NamedTuple):
    """Everything about the source that an edit needs."""

    latents: SourceLatents
    condition: ClipCondition
    """Condition of its inversion: no prompt, and the image embedding of one of its frames."""
    source_tokens: Tensor
    """(1, N, D), of the source prompt."""
    reconstruction: Reconstruction
    folder: TunedFolder | None
    """Folder in which all of this is kept."""


class ClipPreparation:
    """Makes a clip ready: tunes the denoiser on it, inverts and reconstructs it, or reads from its folder what is done.

    folder: None where nothing is kept.
    """

    def __init__(
        self,
        denoiser: ClipDenoiser,
        frames: Tensor,
        source_prompt: str,
        steps: list[DdimStep],
        folder: TunedFolder | None,
    ) -> None:
        self.denoiser = denoiser
        self.frames = frames
        self.steps = steps
        self.folder = folder
        self.settings = denoiser.settings
        self.latents = denoiser.encode(frames)
        self.source_tokens = denoiser.embed_prompt(source_prompt, "source_prompt")
        seed = self.settings.tuning.seed
        chosen = seed_of(seed, "source frame") % len(frames)
        classes = denoiser.image_classes(frames[chosen, None], seed=seed_of(seed, "source image"))
        self.condition = ClipCondition(denoiser.embed_prompt("", "the empty prompt"), classes)

    @property
    def most_passes(self) -> int:
        """Passes of the network when nothing is done yet."""
        of_steps = len(self.steps) * (2 + self.settings.inversion_refinements)
        return PASSES_OF_A_TUNING_STEP * self.settings.tuning.num_steps + of_steps

    def run(self, progress: WorkProgress, unedited: Edited) -> SourceClip:
        """Do what is left to do; unedited: the preview of work that has no result yet."""

        def advance(num_passes: int) -> None:
            progress.advance(num_passes, lambda: unedited)

        with held(self.folder.path) if self.folder else nullcontext():
            # One after the other, so that the encoder's memory does not grow with the clip.
            embeddings = torch.cat([embed_pictures(self.denoiser.parts, frame[None]) for frame in self.frames])
            tuning = ClipTuning(self.denoiser, TunedClip(self.latents, embeddings, self.source_tokens))
            state = self.folder.open_state() if self.folder else None
            if state and (stored := state.read()):
                tuning.load_state_dict(stored)
            trajectory = self.folder.read_trajectory(self.settings, len(self.frames)) if self.folder else None
            quality = self.folder.read_reconstruction(self.settings) if self.folder else None
            of_inversion = (1 + self.settings.inversion_refinements) * (trajectory is None)
            num_passes = len(self.steps) * (of_inversion + (quality is None))
            progress.begin(PASSES_OF_A_TUNING_STEP * tuning.num_remaining + num_passes)
            if not tuning.is_finished:
                self._tune(tuning, state, lambda: advance(PASSES_OF_A_TUNING_STEP))
            if trajectory is None:
                trajectory = self._invert(lambda _: advance(1))
            source = SourceLatents(self.latents, trajectory.to(self.latents))
            if quality is None:
                quality = self._reconstruct(source, lambda _: advance(1))
        return SourceClip(source, self.condition, self.source_tokens, quality, self.folder)

    def _tune(self, tuning: ClipTuning, state: RunState | None, advance: Callable[[], None]) -> None:
        def on_step(number: int) -> None:
            every = self.settings.tuning.preview_every
            if self.folder and every and number % every == 0:
                window = range(min(len(self.frames), self.settings.window))
                predicted = self.denoiser.decode(tuning.reconstruct(window, self.condition.image))
                self.folder.write_preview(number, self.frames, predicted)
            advance()

        try:
            tuning.run(on_step, state)
        finally:
            if self.folder and tuning.losses:
                self.folder.write_losses(tuning.losses)

    def _invert(self, on_step: OnSampledStep) -> Tensor:
        trajectory = invert_clip(self.denoiser, self.latents, self.condition, self.steps, on_step)
        if self.folder:
            self.folder.write_trajectory(self.settings, trajectory)
        return trajectory

    def _reconstruct(self, source: SourceLatents, on_step: OnSampledStep) -> Reconstruction:
        quality = reconstruct_clip(self.denoiser, self.frames, source, self.condition, self.steps, on_step)
        if self.folder:
            self.folder.write_reconstruction(self.settings, quality)
        return quality
