"""Training an atlas: its losses on maps worked out by hand, inputs, resuming, and mistakes."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from mimicbrush.atlas import atlas_training
from mimicbrush.atlas.atlas_losses import atlas_losses, draw_pixels
from mimicbrush.atlas.atlas_training import AtlasTraining, make_atlas
from mimicbrush.atlas.config import AtlasConfig, AtlasLossConfig
from mimicbrush.atlas.first_motion import first_atlas
from mimicbrush.atlas.stored_atlas import open_atlas
from mimicbrush.atlas.training_clip import (
    TrainingClip,
    find_difficulties,
    load_training_clip,
    masks_of_box,
    read_clip,
    read_masks,
    scaled_box,
)
from mimicbrush.errors import UserError
from mimicbrush.pictures.writing import write_frames, write_image
from mimicbrush.video.clip_writer import SETTINGS, open_h264, write_h264
from tests.atlas.moving_square import moving_square

SIDE = 20


@pytest.fixture(scope="module")
def clip() -> TrainingClip:
    """A red square of 7 pixels that moves by 3 pixels a frame over a still, blue ramp."""
    return moving_square(SIDE, slice(6, 13), num_columns=7)


@pytest.fixture
def config(tmp_path, clip) -> AtlasConfig:
    write_frames(clip.frames, tmp_path / "clip.png")
    write_frames(clip.masks.expand(-1, 3, -1, -1), tmp_path / "masks.png")
    return AtlasConfig(
        clip=tmp_path / "clip.png",
        masks=tmp_path / "masks.png",
        output=tmp_path / "atlas",
        num_steps=6,
        batch_size=64,
        save_every=3,
    )


def test_maps_begin_at_the_motion_of_each_layer(clip):
    pixels = torch.stack([clip.shape.frame_points(number)[9, 4 + 3 * number] for number in range(4)])
    places = first_atlas(clip).atlas_points("foreground", pixels)
    torch.testing.assert_close(places, places[:1].expand(4, -1))


def test_losses_of_a_perfect_motion(clip):
    """The maps follow the true motion: nothing is deformed, and joined points meet."""
    pixels = draw_pixels(clip.shape, 500, torch.Generator().manual_seed(0), torch.device("cpu"))
    losses = atlas_losses(first_atlas(clip), clip, pixels, AtlasLossConfig(), 0)
    # |J'J| + |(J'J)^-1| is twice the root of 2 for the identity; of both layers, and weighted for distant pixels.
    assert losses["rigidity"].item() == pytest.approx(4 * math.sqrt(2), rel=2e-3)
    assert losses["global_rigidity"].item() == pytest.approx(55 * 2 * math.sqrt(2), rel=2e-3)
    # An opacity of one half everywhere: the foreground's map is right for the square, the background's for the rest.
    assert losses["flow"].item() == pytest.approx(5 * 0.5 * 3, rel=0.02)
    assert losses["opacity_flow"].item() == 0
    true = clip.frames[pixels.frame, :, pixels.y, pixels.x]
    assert losses["colour"].item() == pytest.approx(5000 * (true - 0.5).square().sum(dim=-1).mean().item(), rel=1e-4)
    assert losses["mask"].item() == pytest.approx(-2000 * math.log(0.5), rel=0.02)


def test_late_steps_leave_the_first_losses_out(clip):
    pixels = draw_pixels(clip.shape, 50, torch.Generator().manual_seed(0), torch.device("cpu"))
    losses = atlas_losses(first_atlas(clip), clip, pixels, AtlasLossConfig(), 10_000)
    assert set(losses) == {"colour", "gradient", "rigidity", "flow", "opacity_flow", "sparsity"}


def test_training_reconstructs_the_clip_and_its_mask(clip, config):
    config = replace(config, num_steps=80, batch_size=400, learning_rate=0.05)
    training = AtlasTraining(first_atlas(clip), clip, config)
    for _ in range(config.num_steps):
        training.run_step()
    rendered = training.render()
    assert (rendered.reconstruction - clip.frames).abs().mean() < 0.03
    assert ((rendered.opacity > 0.5) == (clip.masks > 0.5)).float().mean() > 0.95


def test_a_stopped_run_resumes_to_the_same_atlas(config, clip, monkeypatch, tmp_path):
    monkeypatch.setattr(atlas_training, "load_raft", lambda name: torch.nn.Identity())
    monkeypatch.setattr(atlas_training, "load_training_clip", lambda *arguments: clip)
    assert "4 frames of 20 x 20 pixels" in make_atlas(config)
    whole = open_atlas(config.output)
    other = replace(config, output=tmp_path / "stopped")
    run_step, steps = AtlasTraining.run_step, []

    def stop(training: AtlasTraining) -> float:
        steps.append(training.step)
        if len(steps) == 5:
            raise KeyboardInterrupt
        return run_step(training)

    monkeypatch.setattr(AtlasTraining, "run_step", stop)
    with pytest.raises(KeyboardInterrupt):
        make_atlas(other)
    make_atlas(other)
    assert steps == [0, 1, 2, 3, 4, 4, 5]
    for name, weights in open_atlas(other.output).network.state_dict().items():
        assert torch.equal(weights, whole.network.state_dict()[name]), name
    names = {path.name for path in other.output.iterdir()}
    assert {"foreground.png", "background.png", "reconstruction.png", "card.json", "preview_000006.png"} <= names


def test_masks_follow_a_box_along_the_flow(clip):
    masks = masks_of_box(clip.frames, clip.flow, (1, 5, 10, 14), seed=0)
    assert (masks == clip.masks).float().mean() > 0.97


def test_inputs_that_do_not_fit_are_refused(config, clip, tmp_path, caplog):
    read = read_clip(config.clip, num_frames=70, short_side=432)
    assert (read - clip.frames).abs().max() < 3e-3 and not caplog.text
    assert read_clip(config.clip, num_frames=2, short_side=16).shape == (2, 3, 16, 16)
    assert "its frames are made smaller, 16 x 16 instead of 20 x 20 pixels" in caplog.text
    with pytest.raises(UserError, match="number of masks is 4, expected 3"):
        read_masks(config.masks, read[:3], num_frames=70, short_side=432)
    with pytest.raises(UserError, match="mask 1 is 20 x 20 pixels, which does not fit frames of 10 x 20"):
        read_masks(config.masks, read[..., :10], num_frames=70, short_side=432)
    write_frames(clip.frames[:1], tmp_path / "still.png")
    with pytest.raises(UserError, match="holds a single frame, expected at least 2"):
        read_clip(tmp_path / "still.png", num_frames=70, short_side=432)


@pytest.mark.parametrize("num_frames", [3, 9, 20])
def test_every_frame_of_a_video_is_read(num_frames, tmp_path):
    """At 10 frames a second also those of the last half second, which may be the whole clip."""
    shades = np.linspace(0, 250, num_frames).astype(np.uint8)
    write_h264(tmp_path / "clip.mp4", (np.full((32, 32, 3), shade, np.uint8) for shade in shades), fps=10)
    read = read_clip(tmp_path / "clip.mp4", num_frames=70, short_side=432)
    assert read.mean(dim=(1, 2, 3)).tolist() == pytest.approx((shades / 255).tolist(), abs=0.02)
    assert len(read_clip(tmp_path / "clip.mp4", num_frames=2, short_side=432)) == 2


def test_every_frame_of_a_video_with_many_keyframes_is_read(tmp_path, caplog):
    """A reader that seeks between two calls would leave out the frames before a keyframe."""
    noise = np.random.default_rng(0).integers(0, 255, (100, 12, 16, 3), np.uint8).repeat(4, axis=1).repeat(4, axis=2)
    with open_h264(tmp_path / "clip.mp4", fps=24, settings=SETTINGS | {"g": "12"}) as write:
        for frame in noise:
            write(frame)
    assert len(read_clip(tmp_path / "clip.mp4", num_frames=100, short_side=432)) == 100
    assert not caplog.messages
    assert len(read_clip(tmp_path / "clip.mp4", num_frames=70, short_side=432)) == 70
    assert "only the first 70 frames are used" in caplog.text


def test_masks_without_object_or_background_are_refused(clip, tmp_path):
    for level, found in ((0, "black"), (1, "white")):
        write_frames(torch.full((4, 3, SIDE, SIDE), float(level)), tmp_path / "plain.png")
        with pytest.raises(UserError, match=f"all masks are entirely {found}; paint the object white"):
            read_masks(tmp_path / "plain.png", clip.frames, num_frames=70, short_side=432)


def test_unfit_masks_do_not_claim_the_folder(config, clip, monkeypatch, tmp_path):
    monkeypatch.setattr(atlas_training, "load_raft", lambda name: torch.nn.Identity())
    write_frames(clip.masks[:3].expand(-1, 3, -1, -1), tmp_path / "few.png")
    with pytest.raises(UserError, match="number of masks is 3, expected 4"):
        make_atlas(replace(config, masks=tmp_path / "few.png"))
    monkeypatch.setattr(atlas_training, "load_training_clip", lambda *arguments: clip)
    make_atlas(config)
    with pytest.raises(UserError, match="holds another run: num_frames was 70, is 3"):
        make_atlas(replace(config, masks=tmp_path / "few.png", num_frames=3))


def test_a_folder_knows_its_clip_by_the_pixels(config, clip, monkeypatch, tmp_path):
    """Other pictures at the same path are another clip; the same ones elsewhere are not. A finished atlas is kept."""
    monkeypatch.setattr(atlas_training, "load_raft", lambda name: torch.nn.Identity())
    monkeypatch.setattr(atlas_training, "load_training_clip", lambda *arguments: clip)
    make_atlas(config)
    monkeypatch.setattr(atlas_training, "load_training_clip", None)
    moved = config.clip.rename(tmp_path / "moved.png")
    assert make_atlas(replace(config, clip=moved)) == f"the atlas of this clip is finished -> {config.output}"
    write_frames(clip.frames.flip(3), config.clip)
    with pytest.raises(UserError, match=r"other pictures: it was not made from the clip that .*clip\.png holds now"):
        make_atlas(config)
    write_frames(clip.masks.flip(3).expand(-1, 3, -1, -1), tmp_path / "flipped.png")
    with pytest.raises(UserError, match=r"not made from the masks that .*flipped\.png holds now"):
        make_atlas(replace(config, clip=moved, masks=tmp_path / "flipped.png"))


def test_masks_of_a_box_are_kept_for_a_run_that_resumes(config, clip, monkeypatch):
    boxed, seen = replace(config, masks=None, box=(1, 5, 10, 14)), []

    def load(config: AtlasConfig, frames: torch.Tensor, masks: torch.Tensor | None, estimator: object) -> TrainingClip:
        seen.append(masks)
        return clip

    monkeypatch.setattr(atlas_training, "load_raft", lambda name: torch.nn.Identity())
    monkeypatch.setattr(atlas_training, "load_training_clip", load)
    monkeypatch.setattr(atlas_training, "train_atlas", lambda *arguments: 30.0)  # writes no atlas, as if stopped
    make_atlas(boxed)
    make_atlas(boxed)
    assert seen[0] is None and torch.equal(seen[1], clip.masks)


def test_a_damaged_state_is_named(config, clip):
    training = AtlasTraining(first_atlas(clip), clip, config)
    config.output.mkdir()
    (config.output / "state.pt").write_bytes(b"not a state")
    with pytest.raises(UserError, match=r"state\.pt is damaged, so the training cannot resume; delete it"):
        training.run(config.output)


def test_photographs_gaps_and_alpha(clip, tmp_path, caplog):
    limits = {"num_frames": 70, "short_side": 432}
    write_frames(torch.rand(4, 3, SIDE, SIDE), tmp_path / "photo.png")
    with pytest.raises(UserError, match=r"photo\.png: mask 1 is grey in (9\d|100)% of its pixels, as a photograph is"):
        read_masks(tmp_path / "photo.png", clip.frames, **limits)
    folder = tmp_path / "frames"
    folder.mkdir()
    for number, frame in enumerate(clip.frames):
        write_image(torch.cat([frame, torch.full((1, SIDE, SIDE), 0.5)]), folder / f"{number:03d}.png")
    assert read_clip(folder, **limits).min() >= 0.49
    assert "transparent parts of its frames are taken as white" in caplog.text
    (folder / "003.png").rename(folder / "009.png")
    with pytest.raises(UserError, match=r"frames are missing between 002\.png and 009\.png"):
        read_clip(folder, **limits)


def test_masks_are_cut_and_scaled_like_the_clip(config, clip):
    limits = {"num_frames": 3, "short_side": 16}
    masks = read_masks(config.masks, read_clip(config.clip, **limits), **limits)
    assert masks.shape == (3, 1, 16, 16)
    assert masks.mean().item() == pytest.approx(clip.masks[:3].mean().item(), abs=0.01)


def test_a_box_outside_is_refused_before_the_flow(config, clip, tmp_path):
    config = replace(config, masks=None, box=(1, 5, 30, 14))
    with pytest.raises(UserError, match="the frames are 20 x 20 pixels; give a box inside them"):
        load_training_clip(config, clip.frames, None, None)


def test_a_box_counts_pixels_of_the_clip_as_given(clip, tmp_path):
    write_frames(clip.frames[..., :12, :], tmp_path / "clip.png")
    write_h264(tmp_path / "clip.mp4", (np.full((40, 60, 3), 99, np.uint8) for _ in range(3)), fps=10)
    half = torch.zeros(4, 3, 6, 10)
    assert scaled_box((1, 2, 20, 12), tmp_path / "clip.png", half) == (0, 1, 10, 6)
    assert scaled_box((19, 11, 20, 12), tmp_path / "clip.png", half) == (9, 5, 10, 6)
    assert scaled_box((30, 10, 60, 40), tmp_path / "clip.mp4", torch.zeros(3, 3, 20, 30)) == (15, 5, 30, 20)


def test_difficult_clips_are_named(clip):
    assert not find_difficulties(clip)
    fast = clip._replace(flow=clip.flow + 4, reliable=torch.zeros_like(clip.reliable))
    assert [line.split(",")[0] for line in find_difficulties(fast)] == [
        "the camera moves by 6 pixels from frame 1 to the next; give fewer frames",
        "the flow fails after frame 1",
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"masks": None}, "give either masks"),
        ({"box": (1, 2, 3, 4)}, "give either masks"),
        ({"masks": None, "box": (5, 2, 3, 4)}, "expected x0 < x1"),
        ({"sam": "runs/sam"}, "sam makes masks of a box"),
        ({"num_frames": 1}, "num_frames is 1, expected at least 2"),
    ],
)
def test_mistaken_options_are_refused(config, change, message):
    with pytest.raises(UserError, match=message):
        replace(config, **change)
