"""Other people's clips as a set: folders of frames, clips, prompts, target pictures and masks, named by a CSV."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mimicbrush.errors import UserError
from mimicbrush.evaluation.benchmark import list_samples
from mimicbrush.evaluation.benchmark_faults import find_faults
from mimicbrush.evaluation.build.clip_set import build_clip_set
from mimicbrush.evaluation.build.config import ClipSetConfig
from mimicbrush.evaluation.checks import not_computable
from mimicbrush.evaluation.config import BenchmarkSet, EvaluateConfig
from mimicbrush.evaluation.edit_rounds import edit_all
from mimicbrush.evaluation.evaluation_rounds import list_rounds
from mimicbrush.evaluation.gather_results import gather_results
from mimicbrush.evaluation.metrics.models import Models
from mimicbrush.evaluation.score_rounds import score_all
from mimicbrush.pictures.reading import read_frames
from mimicbrush.requests import Edited, Editor, VideoRequest
from mimicbrush.video.clip_writer import write_h264

RED = (128, 0, 0)
"""The first colour of the palette of DAVIS's annotations."""
HEADER = "source,source_prompt,target_image,target_prompt,mask,fps,id\n"


class PaintsTarget(Editor):
    """Paints the mask, or everything without one, with the mean colour of the target's object."""

    request_class = VideoRequest

    def edit(self, request: VideoRequest, *, on_progress=None) -> Edited:
        mask = torch.ones_like(request.source[:, :1]) if request.mask is None else request.mask
        colour = request.target_image[:, request.target_mask[0] > 0.5].mean(dim=1)
        return Edited(torch.where(mask > 0.5, colour[:, None, None], request.source))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """clips.csv with a folder of frames and masks, and a clip; the target's object is its opaque part."""
    for number in range(3):
        frame = np.full((20, 36, 3), 40 * number, np.uint8)
        annotation = np.zeros_like(frame)
        annotation[5:15, 5 + number : 15 + number] = RED
        for place, pixels in (("frames", frame), ("masks", annotation)):
            (tmp_path / place).mkdir(exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / place / f"{number:05d}.png")
    write_h264(tmp_path / "clip.mp4", [np.full((32, 64, 3), 90, np.uint8)] * 4, fps=12)
    target = np.zeros((20, 20, 4), np.uint8)
    target[5:15, 5:15] = 200, 100, 50, 255
    Image.fromarray(target).save(tmp_path / "t.png")
    rows = "frames,a bear,t.png,a fox,masks,,bear\nclip.mp4,grey,t.png,a fox,,10,\n"
    (tmp_path / "clips.csv").write_text(HEADER + rows)
    return tmp_path


def config_of(folder: Path) -> ClipSetConfig:
    return ClipSetConfig(samples=folder / "clips.csv", output=folder / "set", max_side=32)


def set_of(folder: Path) -> BenchmarkSet:
    return BenchmarkSet(folder=folder / "set", task="video", track="clips")


def test_folders_and_clips_become_a_set(folder):
    assert build_clip_set(config_of(folder)) == f"2 clips -> {folder / 'set'}"
    assert find_faults(set_of(folder)) == []
    clip, bear = list_samples(set_of(folder))
    request = bear.request(0, guided_by=VideoRequest)
    assert request.source.shape == (3, 3, 17, 32) and request.mask.shape == (3, 1, 17, 32)
    assert request.source.amax(dim=(1, 2, 3)).tolist() == pytest.approx([0, 40 / 255, 80 / 255])
    assert (request.source_prompt, request.target_prompt, request.fps) == ("a bear", "a fox", 8.0)
    assert request.target_mask.sum() == 100 and request.mask[0, 0, 8, 8] == 1 and request.mask[2, 0, 8, 4] == 0
    request = clip.request(0, guided_by=VideoRequest)
    assert request.source.shape == (4, 3, 16, 32) and request.mask is None and request.fps == 10
    build_clip_set(config_of(folder))  # the same command writes the same set again


def test_the_set_is_edited_and_scored(folder):
    build_clip_set(config_of(folder))
    editor = {"class_path": f"{__name__}.PaintsTarget"}
    config = EvaluateConfig(output=folder / "out", sets={"set": set_of(folder)}, editors={"paints": editor})
    models, samples = Models(device="cpu"), {"set": list_samples(set_of(folder))}
    rounds = list_rounds(config, samples, not_computable(config, models))
    edit_all(rounds, batch_size=1)
    score_all(rounds, models)
    summaries = gather_results(config, rounds, [], models, seconds=0).summaries
    means = {metric: summary.mean for (_, _, metric), summary in summaries.items()}
    assert means["colour_distance"] == pytest.approx(0, abs=1e-3) and means["change_outside"] == 0
    clip, _ = samples["set"]
    assert (read_frames(rounds[0].edited_path(clip))[0, 0] * 255).round().unique().tolist() == [200]


def test_rows_with_faults_are_named_and_the_others_written(folder, capsys):
    Image.new("RGB", (36, 20)).save(folder / "black.png")
    rows = (folder / "clips.csv").read_text() + (
        "frames,a,t.png,b,black.png,,\nframes,a,t.png,b,clip.mp4,,\nabsent.mp4,a,t.png,b,,,\nframes,,t.png,b,,,\n"
        "frames,a,t.png,b,,often,\nframes,a,t.png,b,,,bear\nt.png,a,t.png,b,,,\n"
        f"{'a brown bear ' * 30},a,t.png,b,,,\nframes,a,t.png,b,,,,too,many\n"
    )
    (folder / "clips.csv").write_text(rows)
    with pytest.raises(UserError, match=r"9 of 11 lines were skipped, for the reasons above; 2 clips ->"):
        build_clip_set(config_of(folder))
    said = capsys.readouterr().err
    for fault in (
        "line 4: .*black.png marks nothing; paint",
        r"line 5: .*clip.mp4 has 4 frames of 64 x 32, expected 3 of 36 x 20; give one mask for each frame",
        "line 6: .*absent.mp4",
        "line 7: source_prompt is empty",
        "line 8: fps is often, expected a number",
        "line 9: id is bear, expected .* no id twice",
        "line 10: .*t.png has 1 frame, expected a clip of at least 2",
        "line 11: source is a brown bear .*, but there is no such file or folder",
        "line 12: 9 cells for 7 columns",
    ):
        assert re.search(fault, said), fault
    assert find_faults(set_of(folder)) == []
    with pytest.raises(UserError, match="no row can be used"):
        build_clip_set(replace(config_of(folder), max_frames=2, output=folder / "none"))


def test_faults_of_a_set_are_named(folder):
    build_clip_set(config_of(folder))
    (folder / "set" / "clips.json").write_text('{"bear": {"prompt": "a", "source_prompt": "b", "fps": -1}}')
    Image.new("RGB", (36, 20)).save(folder / "set" / "bear_source.png")
    found = "\n".join(find_faults(set_of(folder), frozenset({"reference_mask"})))
    assert "bear: source has 1 frame, expected a clip" in found and "fps is -1, expected a positive" in found
    assert "001: has no entry in clips.json" in found
    with pytest.raises(ValueError, match="task is parts, and sets of track clips have video"):
        BenchmarkSet(folder=folder, task="parts", track="clips")


def test_a_corrected_row_keeps_the_ids_of_others_and_no_mask_of_theirs(folder):
    rows = ["clip.mp4,grey,absent.png,a fox,,,", "frames,a bear,t.png,a fox,masks,,"]
    (folder / "clips.csv").write_text(HEADER + "\n".join(rows))
    with pytest.raises(UserError, match="1 of 2 lines were skipped"):
        build_clip_set(config_of(folder))
    assert [sample.id for sample in list_samples(set_of(folder))] == ["001"]
    rows = [rows[0].replace("absent.png", "t.png"), rows[1].replace("masks", "")]
    (folder / "clips.csv").write_text(HEADER + "\n".join(rows))
    assert build_clip_set(config_of(folder)).startswith("2 clips")
    assert [sample.mask for sample in list_samples(set_of(folder))] == [None, None]


def test_an_interrupted_command_resumes(folder, monkeypatch):
    def interrupt(*arguments: object, **fields: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("mimicbrush.video.frame_sequence.read_whole_clip", interrupt)
        with pytest.raises(KeyboardInterrupt):
            build_clip_set(config_of(folder))
    assert (folder / "set" / "bear_source.png").is_file()
    assert build_clip_set(config_of(folder)).startswith("2 clips")
