"""A folder of atlases, each made once for its clip and found again by the clip's pixels."""

from __future__ import annotations

import logging
from pathlib import Path

from torch import Tensor

from mimicbrush.atlas.atlas_training import stored_content, train_atlas
from mimicbrush.atlas.config import ATLAS_FILE, AtlasTrainingConfig
from mimicbrush.atlas.stored_atlas import AtlasFile, open_atlas
from mimicbrush.atlas.training_clip import TrainingClip, estimate_flow
from mimicbrush.device import choose_device
from mimicbrush.errors import UserError
from mimicbrush.flow.raft_weights import load_raft
from mimicbrush.folder_lock import held
from mimicbrush.run_folder import claim, refuse_other_run
from mimicbrush.tensor_files import tensor_fingerprint

FREE = ("save_every",)
"""Options that may change when a training resumes."""

log = logging.getLogger(__name__)


class MissingAtlasError(UserError):
    """A folder of atlases lacks that of a clip."""


def find_atlas(folder: Path, frames: Tensor) -> AtlasFile:
    """Read the finished atlas of a clip (T, 3, H, W) from a folder of atlases.

    It is recognised by the clip's pixels, in a folder that `find_or_make_atlas` or `python -m mimicbrush.atlas` made.
    Raises MissingAtlasError if it is not there, and another UserError if it is damaged.
    """
    digest = tensor_fingerprint(frames)
    for own in [folder / digest, *(sorted(folder.iterdir()) if folder.is_dir() else ())]:
        if (own / ATLAS_FILE).is_file() and (own.name == digest or _made_from(own) == digest):
            return open_atlas(own)
    raise MissingAtlasError(f"{folder} holds no atlas of this clip; make it by an edit with masks, or give another one")


def _made_from(folder: Path) -> str | None:
    """Digest of the clip from which a folder's atlas was made; None if the folder does not say it, or is damaged."""
    try:
        content = stored_content(folder)
    except UserError as error:  # it must not hide the atlases of other clips
        log.warning("%s", error)
        return None
    return content and content.clip


def find_or_make_atlas(folder: Path, frames: Tensor, masks: Tensor | None, training: AtlasTrainingConfig) -> AtlasFile:
    """Read the atlas of a clip (T, 3, H, W) from a folder of atlases; one that is missing is trained, or resumes.

    masks: (T, 1, H, W), 1 on the object that moves by itself. Raises UserError where an atlas would have to be made
    without masks or with the mask of a single frame, or was made with other options.
    """
    own = folder / tensor_fingerprint(frames)
    with held(own):
        refuse_other_run(own, training, free=FREE)
        if not (own / ATLAS_FILE).is_file():
            if masks is None:
                raise UserError(
                    f"{folder} holds no atlas of this clip, and one cannot be made without masks; give them"
                )
            if (masks > 0.5).flatten(1).any(dim=1).sum() < 2:
                raise UserError(
                    f"{folder} holds no atlas of this clip, and one cannot be made from the mask of a single frame;"
                    " mask the object in every frame that shows it"
                )
            device = choose_device("auto")
            frames = frames.float().to(device)
            clip = TrainingClip(frames, masks.to(frames), *estimate_flow(load_raft(training.flow).to(device), frames))
            # Only now, so that a mistaken option can be corrected and the command repeated.
            claim(own, training, free=FREE)
            train_atlas(clip, training, own)
    return open_atlas(own)
