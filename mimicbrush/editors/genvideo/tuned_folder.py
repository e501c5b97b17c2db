"""The folder of a clip's tuning: its state, loss curve, previews, the latents of its inversion, and differences.

Each clip and each choice of settings has a folder of its own, whose name is computed from them, so that a later edit of
the clip finds it.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from torch import Tensor

from mimicbrush.config import dump_config
from mimicbrush.diffusion.trajectories import load_trajectory, save_trajectory
from mimicbrush.editors.genvideo.masked_sampling import Reconstruction
from mimicbrush.editors.genvideo.settings import GenVideoSettings, TuningSettings
from mimicbrush.errors import UserError
from mimicbrush.files import read_object, write_json, write_text
from mimicbrush.hub.unclip_parts import UnclipParts
from mimicbrush.pictures.conversion import to_pil
from mimicbrush.pictures.writing import write_image
from mimicbrush.reports.contact_sheet import contact_sheet
from mimicbrush.reports.matplotlib_chart import finish_chart, new_charts, save_chart, set_log_scale
from mimicbrush.run_state import RunState
from mimicbrush.tensor_files import tensor_fingerprint

log = logging.getLogger(__name__)
T = TypeVar("T")

WITHOUT_EFFECT = ("preview_every", "gradient_checkpointing")
"""Settings of tuning that leave the weights as they are."""
MAX_PREVIEW_FRAMES = 8
"""Frames of a clip in a preview."""


@dataclass(frozen=True, kw_only=True)
class TunedClipConfig:
    """Everything that determines the tuned weights of a clip."""

    weights: str
    """Digest of the weights and the noise schedule that tuning starts from."""
    precision: str
    frames: str
    """Digest of the frames at the network's size."""
    source_prompt: str
    window: int
    tuning: TuningSettings


class TunedFolder:
    """The folder of one clip and its settings, in `root`; raises UserError if another run has its place."""

    def __init__(self, root: Path, config: TunedClipConfig) -> None:
        self.path = root / folder_name(config)
        self.config = config

    def open_state(self) -> RunState:
        return RunState(self.path, self.config, free=tuple(f"tuning.{name}" for name in WITHOUT_EFFECT))

    def write_losses(self, losses: list[float]) -> None:
        """Write the losses as losses.csv and draw them as losses.png."""
        steps = range(1, len(losses) + 1)
        rows = [f"{step},{loss:.6g}\n" for step, loss in zip(steps, losses, strict=True)]
        write_text("".join(["step,loss\n", *rows]), self.path / "losses.csv")
        figure, (axes,) = new_charts(size=(7, 3.5))
        axes.plot(steps, losses, linewidth=0.8, alpha=0.4, label="each step")
        axes.plot(steps, _running_means(losses), linewidth=1.6, label="mean of 20 steps")
        set_log_scale(axes)
        finish_chart(axes, "Tuning on the clip", x_label="step", y_label="loss")
        save_chart(figure, self.path / "losses.png")

    def write_preview(self, step: int, source: Tensor, reconstructed: Tensor) -> None:
        """Write frames of the clip above the same as the network reconstructs them, (T, 3, H, W) each."""
        rows = [
            [(f"{label} {number + 1}", to_pil(frame)) for number, frame in enumerate(frames[:MAX_PREVIEW_FRAMES])]
            for label, frames in (("source", source), ("predicted", reconstructed))
        ]
        write_image(contact_sheet(rows), self.path / "previews" / f"step-{step:06d}.png")

    def read_trajectory(self, settings: GenVideoSettings, num_frames: int) -> Tensor | None:
        """Latents (N, T, C, h, w) of the clip's inversion; None if they have to be computed."""
        path = self._inversion_path(settings, ".safetensors")
        return _read_stored(path, lambda: load_trajectory(path, num_frames=num_frames))

    def write_trajectory(self, settings: GenVideoSettings, trajectory: Tensor) -> None:
        save_trajectory(trajectory, self._inversion_path(settings, ".safetensors"))

    def read_reconstruction(self, settings: GenVideoSettings) -> Reconstruction | None:
        """Quality of the clip's reconstruction; None if it has to be computed."""
        path = self._inversion_path(settings, ".json")
        return _read_stored(path, lambda: Reconstruction(**read_object(path, *Reconstruction._fields)))

    def write_reconstruction(self, settings: GenVideoSettings, found: Reconstruction) -> None:
        write_json(found._asdict(), self._inversion_path(settings, ".json"))

    def read_differences(self, settings: GenVideoSettings, target: Sequence[Tensor], num_frames: int) -> Tensor | None:
        """Differences (T, h, w) of a mask's branches for a target's conditions; None if they have to be computed."""
        path = self._differences_path(settings, target)
        return _read_stored(path, lambda: load_trajectory(path, num_frames=num_frames)[0, :, 0])

    def write_differences(self, settings: GenVideoSettings, target: Sequence[Tensor], differences: Tensor) -> None:
        """Store differences (T, h, w), as a trajectory of one step and one channel."""
        save_trajectory(differences[None, :, None], self._differences_path(settings, target))

    def _differences_path(self, settings: GenVideoSettings, target: Sequence[Tensor]) -> Path:
        branches = settings.invedit
        shares = (branches.start_share, branches.first_share, branches.last_share)
        choices = (settings.masks, branches.guidance_scale, *shares)
        facts = (*_numbers_of_inversion(settings), *choices, *map(tensor_fingerprint, target))
        return self.path / f"differences-{hashlib.sha256(repr(facts).encode()).hexdigest()[:16]}.safetensors"

    def _inversion_path(self, settings: GenVideoSettings, suffix: str) -> Path:
        return self.path / f"inversion-{'-'.join(map(str, _numbers_of_inversion(settings)))}{suffix}"


def _read_stored(path: Path, read: Callable[[], T]) -> T | None:
    """Read what an earlier edit computed; None, so that it is computed again, where it is missing or damaged."""
    if not path.is_file():
        return None
    try:
        return read()
    except UserError:
        log.warning("%s is damaged; it is computed again and replaced", path)
        return None


def _numbers_of_inversion(settings: GenVideoSettings) -> tuple[int, ...]:
    return (
        settings.num_inference_steps,
        settings.noise_level,
        settings.window_overlap,
        settings.inversion_refinements,
    )


def folder_name(config: TunedClipConfig) -> str:
    """Name of a clip's folder: a digest of everything that determines its weights."""
    defaults = {name: getattr(TuningSettings(), name) for name in WITHOUT_EFFECT}
    alike = replace(config, tuning=replace(config.tuning, **defaults))
    return hashlib.sha256(dump_config(alike).encode()).hexdigest()[:16]


def weights_digest(parts: UnclipParts) -> str:
    """Fingerprint of all networks and of the noise schedule, on which tuning and stored latents depend."""
    digest = hashlib.sha256(repr(parts.schedule).encode())
    for network in parts.networks.values():
        for name, tensor in sorted(network.state_dict().items()):
            digest.update(f"{name} {tensor_fingerprint(tensor)}".encode())
    return digest.hexdigest()[:16]


def tuned_clip_config(
    frames: Tensor, source_prompt: str, settings: GenVideoSettings, *, weights: str, precision: str
) -> TunedClipConfig:
    """Describe the tuning on frames (T, 3, H, W) of the network's size."""
    return TunedClipConfig(
        weights=weights,
        precision=precision,
        frames=tensor_fingerprint(frames),
        source_prompt=source_prompt,
        window=settings.window,
        tuning=settings.tuning,
    )


def _running_means(losses: list[float], width: int = 20) -> list[float]:
    starts = (max(0, number + 1 - width) for number in range(len(losses)))
    return [sum(losses[start : number + 1]) / (number + 1 - start) for number, start in enumerate(starts)]
