"""A sample of several frames through storing, scoring, resuming and the reports."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mimicbrush.errors import UserError
from mimicbrush.evaluation.benchmark import list_samples
from mimicbrush.evaluation.benchmark_faults import find_faults
from mimicbrush.evaluation.config import BenchmarkSet
from mimicbrush.evaluation.metrics.all_metrics import METRICS
from mimicbrush.evaluation.metrics.measure import measure
from mimicbrush.evaluation.metrics.models import Models
from mimicbrush.evaluation.metrics.score import EditedPicture, Score
from mimicbrush.evaluation.read_edit import read_edit
from mimicbrush.evaluation.score_rounds import mean_score
from mimicbrush.pictures.conversion import to_channels, to_pil
from mimicbrush.pictures.reading import read_frames
from mimicbrush.pictures.writing import write_frames, write_image
from mimicbrush.seeds import seed_of_edit
from tests.evaluation.small import PASTE, one_set, strict_json

NUM_FRAMES = 3
NOISE = {"class_path": "tests.evaluation.small.SeededNoise"}
CHOSEN = ["ssim", "psnr", "psnr_mask", "seam", "change_outside", "mean_change_outside"]


def random_frames(seed: int = 0, *, num: int = NUM_FRAMES) -> torch.Tensor:
    levels = np.random.default_rng(seed).integers(0, 256, (num, 3, 40, 40), dtype=np.uint8)
    return torch.from_numpy(levels) / 255


def moving_mask() -> torch.Tensor:
    """(3, 1, 40, 40): it moves, and the last frame has none."""
    mask = torch.zeros(NUM_FRAMES, 1, 40, 40)
    mask[0, :, 5:20, 5:20] = mask[1, :, 12:27, 10:25] = 1
    return mask


def as_clip(folder: Path, name: str = "000", *, moving: bool = True) -> Path:
    """Make a still sample of a set a clip."""
    write_frames(random_frames(), folder / f"{name}_source.png")
    if moving:
        write_frames(moving_mask().expand(-1, 3, -1, -1), folder / f"{name}_source_mask.png")
    return folder


def stored_frames(encoded: str, columns: int) -> torch.Tensor:
    """(T, 3, H, W): the frames of a clip of one row on a page."""
    strip = to_channels(np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGB")))
    return torch.stack(strip.tensor_split(columns, dim=2))


def texture_set(folder: Path) -> BenchmarkSet:
    return BenchmarkSet(folder=folder, task="texture", track="inner_id")


def scores_of(output: Path) -> dict[tuple[str, str], dict]:
    edits = strict_json(output / "results.json")["edits"]
    return {(edit["editor"], edit["id"]): edit["scores"] for edit in edits}


@pytest.mark.parametrize("alike", [False, True])
def test_frames_come_back_as_they_were_written(tmp_path, alike):
    frames = random_frames()[:1].repeat(4, 1, 1, 1) if alike else random_frames()
    write_frames(frames, tmp_path / "clip.png")
    assert torch.equal(read_frames(tmp_path / "clip.png"), frames)


def test_a_still_is_stored_in_the_bytes_of_a_picture(tmp_path):
    write_frames(random_frames(num=1), tmp_path / "frames.png")
    write_image(random_frames(num=1)[0], tmp_path / "picture.png")
    assert (tmp_path / "frames.png").read_bytes() == (tmp_path / "picture.png").read_bytes()


@pytest.mark.parametrize("moving", [True, False])
def test_a_clip_is_stored_scored_and_resumed_with_all_of_its_frames(evaluate, make_set, moving):
    folder = as_clip(make_set(number=3), moving=moving)
    asked = {
        "sets": one_set(folder),
        "editors": {"paste": PASTE, "noise": NOISE},
        "metrics": CHOSEN,
        "batch_size": 2,
        "seeds": [0],
    }
    output = evaluate(asked)
    clip, still, _ = list_samples(texture_set(folder))
    stored = output / "edits" / "small" / "noise" / "0"

    request = clip.request(0)
    assert request.source.shape == (NUM_FRAMES, 3, 40, 40)
    generator = torch.Generator().manual_seed(seed_of_edit(0, "000"))
    noise = torch.rand(request.source.shape, generator=generator) * request.source.mean()
    expected = torch.where(request.mask > 0.5, noise, request.source)
    assert (read_frames(stored / "000.png") - expected).abs().max() <= 0.5001 / 255
    assert len(read_frames(stored / f"{still.id}.png")) == 1

    by_hand = {name: [] for name in CHOSEN}
    for before, hidden, after in zip(request.source, request.mask, expected, strict=True):
        source, edited = (np.asarray(to_pil(picture)) for picture in (before, after))
        frame = EditedPicture(
            source=source, mask=hidden[0].numpy() > 0.5, edited=edited, reference=source, reference_mask=None
        )
        for name, found in measure([frame], {name: METRICS[name] for name in CHOSEN}, Models())[0].items():
            by_hand[name] += [] if found.value is None else [found.value]
    assert len(by_hand["ssim"]) == (2 if moving else 3) and len(by_hand["change_outside"]) == 3
    found = scores_of(output)["noise", "000"]
    for name, values in by_hand.items():
        assert found[name] == pytest.approx(np.mean(values)), name
    page = (output / "report.html").read_text()
    # Source, which is the truth, outlined mask, and an edit by each editor.
    stored_clips = re.findall(
        rf"data-frames='{NUM_FRAMES}'[^>]*><span class='window'><img id='[^']+' src='data:[^,]+,([^']+)", page
    )
    source, mask, _, edited = (stored_frames(encoded, NUM_FRAMES) for encoded in stored_clips)
    assert "Source = truth, 3 frames" in page and len(mask) == NUM_FRAMES
    for shown, frames in ((source, request.source), (edited, expected)):
        assert shown.shape == frames.shape and (shown - frames).abs().mean() < 0.2

    times = {path: path.stat().st_mtime_ns for path in output.rglob("00?.*")}
    evaluate(asked)
    assert {path: path.stat().st_mtime_ns for path in output.rglob("00?.*")} == times
    (stored / "000.png").unlink()
    evaluate(asked)
    assert scores_of(output)["noise", "000"] == found
    assert (read_frames(stored / "000.png") - expected).abs().max() <= 0.5001 / 255


def test_a_stored_edit_that_lacks_frames_is_named(make_set, tmp_path):
    """As edits were stored before."""
    (clip,) = list_samples(texture_set(as_clip(make_set(number=1))))
    write_image(random_frames()[0], tmp_path / "000.png")
    with pytest.raises(UserError, match=r"000\.png is 40x40, its source 3 frames of 40x40; delete it"):
        read_edit(clip, tmp_path / "000.png")


def test_a_changed_second_frame_is_scored_again(evaluate, make_set):
    folder = as_clip(make_set(number=1))
    asked = {"sets": one_set(folder), "editors": {"paste": PASTE}, "metrics": ["psnr"]}
    output = evaluate(asked)
    before = scores_of(output)["paste", "000"]["psnr"]
    path = output / "edits" / "small" / "paste" / "1" / "000.png"
    frames = read_frames(path)
    frames[1] = 0
    write_frames(frames, path)
    assert scores_of(evaluate(asked))["paste", "000"]["psnr"] < before


def test_masks_of_clips_have_one_frame_or_all(make_set):
    folder = as_clip(make_set(number=1))
    assert find_faults(texture_set(folder)) == []
    write_frames(moving_mask()[:2].expand(-1, 3, -1, -1), folder / "000_source_mask.png")
    assert find_faults(texture_set(folder)) == ["000: mask has 2 frames, source has 3; export as many, or one for all"]
    write_frames(torch.zeros(3, 3, 40, 40), folder / "000_source_mask.png")
    assert find_faults(texture_set(folder)) == ["000: mask is empty; paint the region to edit white"]


def test_a_clips_score_is_the_mean_over_frames_that_have_one():
    assert mean_score([Score(1.0), Score(None, "nothing is masked"), Score(4.0)]) == Score(2.5)
    assert mean_score([Score(None, "first"), Score(None, "second")]) == Score(None, "first")
    assert mean_score([Score(0.1)]) == Score(0.1)


def test_gain_maps_and_pages_are_no_frames(tmp_path):
    pages = [Image.new("RGB", (40, 40), colour) for colour in ("red", "blue")]
    pages[0].save(tmp_path / "pages.tif", save_all=True, append_images=pages[1:])
    assert len(read_frames(tmp_path / "pages.tif")) == 1
