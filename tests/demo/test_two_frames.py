"""Motion between two frames that a visitor uploads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.data import coffee
from torch import Tensor

from mimicbrush.demo.config import Limits
from mimicbrush.demo.motion.two_frames import EstimatedMotion, estimate, read_pair
from mimicbrush.errors import UserError
from mimicbrush.flow.raft_weights import load_raft
from mimicbrush.pictures.writing import write_image
from mimicbrush.video.clip_writer import write_h264
from tests.demo.conftest import write_picture

LIMITS = Limits()
STEP = 4
"""Pixels by which the pictures of a clip move to the right, from one frame to the next."""


def phase_correlation(first: Tensor, second: Tensor) -> Tensor:
    """The translation of a whole picture: an estimator whose answer is known by hand."""
    height, width = first.shape[2:]
    cross = torch.fft.fft2(second.mean(1)) * torch.fft.fft2(first.mean(1)).conj()
    peak = int(torch.fft.ifft2(cross / cross.abs().clamp(min=1e-9)).real.argmax())
    down, right = divmod(peak, width)
    shift = [(value + size // 2) % size - size // 2 for value, size in ((right, width), (down, height))]
    return torch.tensor(shift).float()[None, :, None, None].expand(1, 2, height, width)


def write_clip(path: Path, *, num_frames: int = 6, size: tuple[int, int] = (128, 96)) -> Path:
    """Write a clip of 10 frames a second that shows a photograph moving to the right."""
    width, height = size
    photograph = np.tile(coffee(), (3, 2, 1))[100 : 100 + height]
    start = STEP * num_frames
    frames = [photograph[:, start - STEP * number :][:, :width] for number in range(num_frames)]
    write_h264(path, map(np.ascontiguousarray, frames), fps=10)
    return path


def test_two_moments_of_a_clip_are_read_and_their_motion_estimated(tmp_path):
    pair = read_pair([write_clip(tmp_path / "clip.mp4")], [0.1, 0.3], LIMITS)
    assert pair.times == (0.1, 0.3) and pair.first.shape == (3, 96, 128)
    motion = estimate(pair, phase_correlation, side=64)
    assert motion.flow.shape == (1, 2, 48, 64)
    fitted = motion.fitted(128, 96)
    assert torch.equal(fitted[0, 0], torch.full((96, 128), 2.0 * STEP)) and not fitted[0, 1].any()


def test_the_mask_selects_what_moves():
    motion = EstimatedMotion("clip.mp4", torch.full((1, 2, 30, 40), 3.0))
    mask = torch.zeros(1, 1, 60, 80)
    mask[..., 10:20, 30:50] = 1
    flow = motion.flow_of(mask)
    assert torch.equal(flow != 0, mask.bool().expand(1, 2, -1, -1)) and flow.max() == 6


def test_two_pictures_are_read(tmp_path):
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    for path, start in zip(paths, (24, 16), strict=True):
        write_image(coffee()[100:196, start : start + 128], path)
    pair = read_pair(paths, [], LIMITS)
    assert pair.times is None and pair.name == "a.png"
    assert estimate(pair, phase_correlation, side=128).flow[0, :, 50, 50].tolist() == [8, 0]


def test_the_small_raft_of_the_package_estimates_their_motion(tmp_path):
    pair = read_pair([write_clip(tmp_path / "clip.mp4")], [0.0, 0.1], LIMITS)
    flow = estimate(pair, load_raft("asset:flow"), side=128).flow[0, :, 10:-10, 10:-10]
    error = (flow - torch.tensor([STEP, 0.0])[:, None, None]).norm(dim=0)
    assert error.median() < 0.5


def test_what_cannot_be_used_is_refused_in_a_sentence(tmp_path):
    clip, notes = write_clip(tmp_path / "clip.mp4"), tmp_path / "notes.mp4"
    notes.write_text("no clip")
    picture, small = write_picture(tmp_path / "a.png"), write_picture(tmp_path / "b.png", size=(40, 30))
    for paths, times, sentence in (
        ([clip], [0.3, 0.1], "from 0.3 s to 0.1 s, expected two moments in turn within its 0.60 s"),
        ([clip], [0.0, 9.0], "expected two moments in turn within"),
        ([clip], [0.10, 0.11], "the same frame is seen at 0.1 s and at 0.11 s"),
        ([notes], [], "notes.mp4: cannot be read as a clip"),
        ([tmp_path / "gone.mp4"], [], "gone.mp4: no longer here"),
        ([picture], [], "1 files were chosen, 1 of them pictures; choose a clip or two pictures"),
        ([clip, picture], [], "2 files were chosen, 1 of them pictures"),
        ([picture, small], [], "a.png: 80 x 60 pixels, and the second frame 40 x 30; expected two frames of one size"),
    ):
        with pytest.raises(UserError) as error:
            read_pair(paths, times, LIMITS)
        assert sentence in str(error.value) and str(tmp_path) not in str(error.value)
    large = write_clip(tmp_path / "large.mp4", num_frames=2, size=(1040, 1000))
    with pytest.raises(UserError, match=r"large\.mp4: its frames are 1040 x 1000, more than 1 megapixels"):
        read_pair([large], [], Limits(megapixels=1))
    with pytest.raises(UserError, match=r"1\.33 times as wide as high, the picture 1\.00 times; expected one shape"):
        EstimatedMotion("clip.mp4", torch.ones(1, 2, 30, 40)).fitted(50, 50)


@pytest.mark.parametrize(
    "text", ["#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n", "ffconcat version 1.0\nfile /etc/hostname\n"]
)
def test_a_list_of_other_files_is_not_opened(tmp_path, monkeypatch, text):
    (tmp_path / "clip.mp4").write_text(text)
    monkeypatch.setattr("mimicbrush.demo.clips.clip_uploads.probe", lambda path: pytest.fail(f"{path} was opened"))
    with pytest.raises(UserError, match="expected MP4, QuickTime, WebM, Matroska or AVI"):
        read_pair([tmp_path / "clip.mp4"], [], LIMITS)
