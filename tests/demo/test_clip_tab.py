"""The tab for clips: uploads, an edit, the clips of its result, and what is missing."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from mimicbrush.demo.clips.clip_handlers import ClipHandlers
from mimicbrush.demo.clips.clip_previews import GAP, SIDE
from mimicbrush.demo.config import DemoConfig
from mimicbrush.demo.painter import to_browser
from mimicbrush.demo.result_panel import ResultPanel
from mimicbrush.demo.shared_editor import SharedEditor
from mimicbrush.demo.strokes import PaintedPicture, Stroke
from mimicbrush.pictures.reading import read_mask_frames
from mimicbrush.pictures.writing import write_frames
from mimicbrush.requests import Edited, Editor, VideoRequest
from mimicbrush.video.clip_writer import write_h264
from mimicbrush.video.whole_clip import read_whole_clip
from tests.demo.conftest import write_picture

VISITOR = SimpleNamespace(session_hash="a")
GIVEN = {"mask": None, "source_prompt": "grey", "target_prompt": "a hat", "seed": 3}


class PaintsLeft(Editor):
    """Paints the mask, or the left half, with the mean colour of the target's object, in two steps."""

    request_class = VideoRequest

    def edit(self, request: VideoRequest, *, on_progress=None) -> Edited:
        mask = request.mask
        if mask is None:
            mask = torch.zeros_like(request.source[:, :1])
            mask[..., : mask.shape[-1] // 2] = 1
        object_ = torch.ones_like(request.target_image[0]) if request.target_mask is None else request.target_mask[0]
        colour = request.target_image[:, object_ > 0.5].mean(dim=1)
        edited = Edited(torch.where(mask > 0.5, colour[:, None, None], request.source), {"mask": mask})
        for share in (0.5, 1.0):
            on_progress(share, lambda: edited)
        return edited


@pytest.fixture
def handlers(config, folders) -> ClipHandlers:
    return ClipHandlers(SharedEditor(PaintsLeft(), config.limits), config, folders)


@pytest.fixture
def config() -> DemoConfig:
    return DemoConfig(device="cpu", editors={"video": {"class_path": f"{__name__}.PaintsLeft"}})


@pytest.fixture
def clip(tmp_path) -> str:
    write_h264(tmp_path / "clip.mp4", [np.full((32, 48, 3), 60, np.uint8)] * 3, fps=8)
    return str(tmp_path / "clip.mp4")


@pytest.fixture
def target(tmp_path) -> PaintedPicture:
    """White, with a green square that is painted over."""
    pixels = np.full((40, 40, 3), 255, np.uint8)
    pixels[10:30, 10:30] = 0, 200, 0
    Image.fromarray(pixels).save(tmp_path / "t.png")
    return PaintedPicture(
        picture=tmp_path / "t.png", strokes=(Stroke(tool="box", points=[(10, 10), (30, 30)]),), size=(40, 40)
    )


def start(handlers: ClipHandlers, clip: str | None, target: PaintedPicture | None, **changes) -> Iterator[ResultPanel]:
    source = target and to_browser(target)
    return handlers.edit(VISITOR, results=None, clip=clip, source=source, **GIVEN | changes)


def test_an_edit_shows_both_clips_and_the_mask_over_the_source(handlers, clip, target, tmp_path):
    _, first, *_, done = start(handlers, clip, target)
    assert "Step 1 of 2" in first.status and first.preview["visible"]
    assert "Done in" in done.status and "The clip contains its settings" in done.status
    assert done.slider["visible"] is False and done.further["visible"]
    both, overlay, mask = handlers.show_clips(done.results)
    shown = read_whole_clip(Path(both), max_frames=3)
    assert shown.fps == 8 and shown.frames.shape == (3, SIDE * 2 // 3, 2 * SIDE + GAP, 3)
    assert np.abs(shown.frames[:, 100, 50].astype(int) - 60).max() < 6
    assert np.abs(shown.frames[:, 100, SIDE + GAP + 50].astype(int) - (0, 200, 0)).max() < 12
    tinted = read_whole_clip(Path(overlay["value"]), max_frames=3).frames[0, 100].astype(int)
    assert tinted[50, 0] > 130 > 70 > tinted[300, 0]
    assert read_mask_frames(Path(mask["value"])).shape == (3, 1, 32, 48)
    with zipfile.ZipFile(done.zip_file["value"]) as archive:
        names = set(archive.namelist())
    assert {"edit/source.mp4", "edit/target.png", "edit/target-mask.png", "edit/result.mp4", "edit/replay.txt"} <= names


def test_a_corrected_mask_is_given_back(handlers, clip, target, tmp_path):
    *_, done = start(handlers, clip, target)
    mask = read_mask_frames(Path(handlers.show_clips(done.results).mask["value"]))
    write_frames(mask.flip(3), tmp_path / "corrected.png")
    *_, again = start(handlers, clip, target, mask=str(tmp_path / "corrected.png"))
    frames = read_whole_clip(again.results.config.outputs[0], max_frames=3).frames.astype(int)
    assert np.abs(frames[:, 16, 5] - 60).max() < 6 and np.abs(frames[:, 16, 40] - (0, 200, 0)).max() < 12


def test_what_is_missing_or_unfit_is_said_in_a_sentence(handlers, clip, target, tmp_path):
    (view,) = start(handlers, None, None, source_prompt=" ", target_prompt=None, seed=None)
    for sentence in ("No clip yet", "No target picture yet", "No words yet for the clip as it is", "Seed is empty"):
        assert sentence in view.status
    playlist = tmp_path / "list.mp4"
    playlist.write_text("#EXTM3U\n/etc/passwd")
    emptied, *panel = handlers.check_clip(VISITOR, str(playlist))
    assert emptied is None and "List.mp4: cannot be read as a clip; expected MP4" in ResultPanel(*panel).status
    accepted, *panel = handlers.check_clip(VISITOR, clip)
    assert accepted == clip and "The result appears here" in ResultPanel(*panel).status
    write_frames(torch.ones(2, 1, 32, 48), tmp_path / "two.png")
    *_, view = start(handlers, clip, target, mask=str(tmp_path / "two.png"))
    assert "has 2 frames" in view.status and "has 3" in view.status
    *_, view = start(handlers, clip, target, mask=str(tmp_path / "deleted.png"))
    assert "Deleted.png: no longer here" in view.status
    write_h264(tmp_path / "long.mp4", [np.zeros((16, 16, 3), np.uint8)] * 241, fps=8)
    *_, view = start(handlers, str(tmp_path / "long.mp4"), target)
    assert "has more than 240 frames" in view.status and str(handlers.folders.served.parent) not in view.status
    write_picture(tmp_path / "still.png")
    *_, view = start(handlers, str(tmp_path / "still.png"), target)
    assert "Still.png: cannot be read as a clip" in view.status
