"""Clips on the command line: a clip, a target picture and masks in, an edited clip out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mimicbrush.command import call_command
from mimicbrush.edit.inputs import read_inputs
from mimicbrush.edit.kinds.video_edit import VideoEditConfig
from mimicbrush.edit.subcommands import COMMANDS
from mimicbrush.errors import UserError
from mimicbrush.pictures.reading import read_mask_frames
from mimicbrush.pictures.writing import write_frames
from mimicbrush.requests import Edited, Editor, VideoRequest
from mimicbrush.video.clip_writer import write_h264
from mimicbrush.video.whole_clip import read_whole_clip

FRAMES = np.full((3, 32, 48, 3), 60, np.uint8)


class MeanOfTarget(Editor):
    """Paints the masked part, or the left half, with the mean colour of the target's object."""

    request_class = VideoRequest

    def edit(self, request, *, on_progress=None):
        mask = request.mask
        if mask is None:
            mask = torch.zeros(len(request.source), 1, *request.source.shape[2:])
            mask[..., : mask.shape[-1] // 2] = 1
        colour = request.target_image[:, request.target_mask[0] > 0.5].mean(dim=1)
        return Edited(torch.where(mask > 0.5, colour[:, None, None], request.source), {"mask": mask})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """clip.mp4 of grey frames, and t.png, whose opaque part is bright."""
    write_h264(tmp_path / "clip.mp4", FRAMES, fps=8)
    target = np.zeros((20, 20, 4), np.uint8)
    target[5:15, 5:15] = 200, 200, 200, 255
    Image.fromarray(target).save(tmp_path / "t.png")
    return tmp_path


def run(folder: Path, **changes: object) -> None:
    options = {
        "source": folder / "clip.mp4",
        "source_prompt": "red",
        "target_image": folder / "t.png",
        "target_prompt": "hat",
        "output": folder / "e.mp4",
        "editor": f"{__name__}.MeanOfTarget",
    }
    call_command(
        COMMANDS, ["video", *(str(word) for each in (options | changes).items() for word in (f"--{each[0]}", each[1]))]
    )


def test_a_clip_is_edited_and_its_mask_corrected(folder):
    run(folder)
    edited = read_whole_clip(folder / "e.mp4", max_frames=3)
    left, right = edited.frames[:, :, :20].mean(), edited.frames[:, :, 28:].mean()
    assert edited.fps == 8 and left == pytest.approx(200, abs=3) and right == pytest.approx(60, abs=3)
    mask = read_mask_frames(folder / "e-mask.png")
    assert mask.shape == (3, 1, 32, 48)
    write_frames(mask.flip(3), folder / "m.png")
    run(folder, mask=folder / "m.png", output=folder / "again.mp4")
    again = read_whole_clip(folder / "again.mp4", max_frames=3)
    left, right = again.frames[:, :, :20].mean(), again.frames[:, :, 28:].mean()
    assert left == pytest.approx(60, abs=3) and right == pytest.approx(200, abs=3)


def test_a_clip_is_replayed_and_made_in_a_batch(folder):
    run(folder)
    call_command(COMMANDS, ["--replay", str(folder / "e.mp4"), "--output", str(folder / "again.mp4")])
    first, again = (read_whole_clip(folder / name, max_frames=3).frames for name in ("e.mp4", "again.mp4"))
    assert np.array_equal(first, again)
    header, row = "source,source_prompt,target_image,target_prompt,output", "clip.mp4,red,t.png,hat"
    (folder / "clips.csv").write_text(f"{header}\n{row},b1.mp4\n{row},b2.mp4\nabsent.mp4,red,t.png,hat,b3.mp4\n")
    batch = ["video", "--batch", str(folder / "clips.csv"), "--editor", f"{__name__}.MeanOfTarget"]
    with pytest.raises(UserError, match="line 4 was skipped"):
        call_command(COMMANDS, batch)
    assert np.array_equal(read_whole_clip(folder / "b2.mp4", max_frames=3).frames, first)


def test_force_keeps_the_mask_that_was_given(folder, capsys):
    write_frames(torch.ones(3, 1, 32, 48), folder / "e-mask.png")
    given = (folder / "e-mask.png").read_bytes()
    run(folder, mask=folder / "e-mask.png", force="true")
    assert "e-mask.png was given to the edit and is kept" in capsys.readouterr().out
    assert (folder / "e.mp4").is_file() and (folder / "e-mask.png").read_bytes() == given


def test_a_portable_error_names_no_folder(folder):
    given = {"source_prompt": "red", "target_prompt": "hat", "output": folder / "e.mp4"}
    with pytest.raises(UserError, match=r"clip\.mp4 has more than 2 frames") as error:
        read_inputs(
            VideoEditConfig(source=folder / "clip.mp4", target_image=folder / "t.png", max_frames=2, **given),
            portable=True,
        )
    assert str(folder) not in str(error.value)


def test_mistakes_are_named(folder):
    with pytest.raises(UserError, match="no such clip"):
        run(folder, source=folder / "absent.mp4")
    with pytest.raises(UserError, match="no such picture"):
        run(folder, target_image=folder / "absent.png")
    write_frames(torch.rand(3, 3, 20, 20), folder / "animated.png")
    for option in ("target_image", "target_mask"):
        with pytest.raises(UserError, match=r"animated.png has 3 frames, but edits take stills"):
            run(folder, **{option: folder / "animated.png"})
    with pytest.raises(UserError, match=r"expected a name ending in \.mp4"):
        run(folder, output=folder / "e.png")
    write_frames(torch.ones(2, 1, 32, 48), folder / "two.png")
    with pytest.raises(UserError, match=r"has 2 frames, and source .* has 3; give one mask for each frame"):
        run(folder, mask=folder / "two.png")
    Image.fromarray(np.zeros((20, 20), np.uint8)).save(folder / "empty.png")
    with pytest.raises(UserError, match=r"target_mask .*empty\.png is empty, so target_image .* shows no object"):
        run(folder, target_mask=folder / "empty.png")
    Image.new("RGBA", (20, 20)).save(folder / "nothing.png")
    with pytest.raises(UserError, match=r"target_image .*nothing\.png is transparent everywhere, so it shows"):
        run(folder, target_image=folder / "nothing.png")
    with pytest.raises(UserError, match="answers a MaskedRequest, and a video edit is a VideoRequest"):
        run(folder, editor="mimicbrush.editors.baselines.MeanColour")
    (folder / "e.mp4").write_text("")
    with pytest.raises(UserError, match=r"e\.mp4 exists; choose another --output or pass --force"):
        run(folder)
