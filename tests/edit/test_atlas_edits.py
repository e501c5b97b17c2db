"""Clips edited through an atlas by the command: results, records, replays, batches, resuming, and mistakes."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mimicbrush.atlas.rendered_atlas import native_resolution, render_atlas
from mimicbrush.atlas.stored_atlas import save_atlas
from mimicbrush.edit.kinds.layer_edit import LayerEditConfig
from mimicbrush.edit.parsing import parse
from mimicbrush.edit.record import read_settings
from mimicbrush.editors.text2live import Text2LiveClipEditor
from mimicbrush.editors.text2live.clip_settings import CLIP_PRESETS
from mimicbrush.errors import UserError
from mimicbrush.pictures.conversion import to_levels
from mimicbrush.pictures.writing import write_frames, write_image
from mimicbrush.video.clip_writer import write_h264
from mimicbrush.video.whole_clip import as_tensor, read_whole_clip
from tests.atlas.moving_square import exact_atlas, moving_square, square_columns
from tests.edit.conftest import run
from tests.edit.test_layer import CLIP

SIDE, ROWS = 32, slice(8, 20)
CLIP_SHAPE = moving_square(SIDE, ROWS, num_columns=12, num_frames=5)
FEW = {"num_steps": 2, "num_scales": 2, "num_channels": 6, "num_skip_channels": 2, "num_views": 2}
SMALL = FEW | {"frame_distance": 1, "atlas_resolution": 40, "box_border": 1}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """clip.mp4 of a moving square, its atlas, m.png, the square in the first frame, and r.png, a bright reference."""
    clip = CLIP_SHAPE
    write_h264(tmp_path / "clip.mp4", [to_levels(frame) for frame in clip.frames], fps=8)
    (tmp_path / "atlas").mkdir()
    save_atlas(exact_atlas(clip), tmp_path / "atlas", psnr=0.0)
    write_image(clip.masks[0], tmp_path / "m.png")
    write_frames(clip.masks, tmp_path / "masks.png")
    Image.fromarray(np.full((40, 40, 3), 250, np.uint8)).save(tmp_path / "r.png")
    return tmp_path


def words(folder: Path, kind: str, options: dict, changes: dict) -> list[object]:
    common = {"source": folder / "clip.mp4", "atlas": folder / "atlas", "output": folder / "e.mp4"}
    given = {name: value for name, value in (common | options | changes).items() if value is not None}
    return [kind, *(word for name, value in given.items() for word in (f"--{name}", value))]


def layer_words(folder: Path, **changes: object) -> list[object]:
    return words(folder, "layer", {"clip": CLIP, "prompt": "a golden ball"} | SMALL, changes)


def reference_words(folder: Path, **changes: object) -> list[object]:
    options = {"mask": folder / "m.png", "reference": folder / "r.png"}
    return words(folder, "reference", options | {"editor": "mimicbrush.editors.baselines.ReferencePaste"}, changes)


def frames_of(path: Path) -> np.ndarray:
    return read_whole_clip(path, max_frames=9).frames.astype(int)


def test_a_layer_moves_with_the_clip_and_is_replayed(folder):
    run(*layer_words(folder))
    assert frames_of(folder / "e.mp4").shape == (5, SIDE, SIDE, 3)
    layer = np.stack([np.asarray(Image.open(path)) for path in sorted((folder / "e-rgba").iterdir())])
    assert layer.shape == (5, SIDE, SIDE, 4) and not layer[:, :6, :, 3].any()
    first, last = (layer[frame, ROWS, square_columns(frame, 12), 3].astype(int) for frame in (0, 4))
    assert first.mean() > 20 and np.abs(first - last)[2:-2, 2:-2].max() <= 2
    record = read_settings(folder / "e.mp4")
    assert (record["kind"], record["prompt"], record["num_steps"]) == ("layer", "a golden ball", 2)
    assert record["atlas"] == str(folder / "atlas") and set(record["sha256"]) == {"source", "mask", "atlas"}
    run("--replay", folder / "e.mp4", "--output", folder / "again.mkv")
    assert np.array_equal(frames_of(folder / "again.mkv"), frames_of(folder / "e.mp4"))
    assert read_settings(folder / "again.mkv")["sha256"] == record["sha256"]
    run("--replay", folder / "e.mp4", "--output", folder / "faint.mp4", "--opacity", 0, "--layer_format", "webm")
    assert np.abs(frames_of(folder / "faint.mp4") - frames_of(folder / "clip.mp4")).mean() < 4  # of the compression
    assert (folder / "faint-rgba.webm").stat().st_size > 100


def test_settings_of_clips_are_those_of_the_preset(folder):
    arguments = list(map(str, layer_words(folder, num_steps=None)))[1:]
    config = parse([*arguments, "--preset", "small"], LayerEditConfig)
    assert (config.num_steps, config.view_fill) == (100, CLIP_PRESETS["small"].view_fill)
    assert config.editor_spec[1]["settings"]["atlas_resolution"] == 40
    assert parse(arguments, LayerEditConfig).num_steps == CLIP_PRESETS["release"].num_steps


def test_a_stopped_layer_resumes(folder, monkeypatch):
    prepare, steps = Text2LiveClipEditor.prepare, []

    def stopping(editor, request):
        optimisation = prepare(editor, request)
        run_step = optimisation.run_step

        def step(*arguments):
            steps.append(arguments)
            if len(steps) == 2:
                raise KeyboardInterrupt
            return run_step(*arguments)

        optimisation.run_step = step
        return optimisation

    monkeypatch.setattr(Text2LiveClipEditor, "prepare", stopping)
    with pytest.raises(KeyboardInterrupt):
        run(*layer_words(folder))
    assert (folder / "e.mp4.run").is_dir() and not (folder / "e.mp4").exists()
    run(*layer_words(folder))
    assert len(steps) == 3 and not (folder / "e.mp4.run").exists()


def test_one_masked_frame_edits_the_object_in_all(folder):
    run(*reference_words(folder))
    edited, source = frames_of(folder / "e.mp4"), frames_of(folder / "clip.mp4")
    for frame in range(5):
        columns = square_columns(frame, 12)
        assert edited[frame, ROWS, columns][2:-2, 2:-2].min() > 220
        outside = np.ones((SIDE, SIDE), bool)
        outside[6:22, columns.start - 2 : columns.stop + 2] = False
        assert np.abs(edited[frame] - source[frame])[outside].max() < 25  # of the compression
    assert len(list((folder / "e-rgba").iterdir())) == 5 and (folder / "e-mask.png").is_file()
    (folder / "e-rgba" / "notes.txt").write_text("mine")
    run(*reference_words(folder, mask=folder / "masks.png", output=folder / "e.mp4", force="true"))
    assert (folder / "e-rgba" / "notes.txt").is_file() and len(list((folder / "e-rgba").iterdir())) == 6
    run(*reference_words(folder, mask=folder / "masks.png", output=folder / "all.mov", edited_picture="atlas"))
    assert frames_of(folder / "all.mov")[4, ROWS, square_columns(4, 12)][2:-2, 2:-2].min() > 220


def test_source_and_masks_may_be_folders_of_pictures(folder):
    frames = as_tensor(read_whole_clip(folder / "clip.mp4", max_frames=5))
    for number, (frame, mask) in enumerate(zip(frames, CLIP_SHAPE.masks, strict=True)):
        write_image(frame, folder / "frames" / f"{number + 7}.png")  # 10 comes after 9
        write_image(mask, folder / "masks" / f"{number}.png")
    run(*reference_words(folder, mask=folder / "masks"))
    given = {"source": folder / "frames", "mask": folder / "masks"}
    run(*reference_words(folder, **given, output=folder / "f.mp4", fps=5))
    layers = [sorted((folder / name).iterdir()) for name in ("e-rgba", "f-rgba")]
    assert len(layers[0]) == 5 and all(a.read_bytes() == b.read_bytes() for a, b in zip(*layers, strict=True))
    assert read_whole_clip(folder / "f.mp4", max_frames=5).fps == 5
    run("--replay", folder / "f.mp4", "--output", folder / "again.mp4")
    assert np.array_equal(frames_of(folder / "again.mp4"), frames_of(folder / "f.mp4"))
    (folder / "frames" / "11.png").unlink()
    with pytest.raises(UserError, match=r"source .*frames has changed since .*f\.mp4 was made"):
        run("--replay", folder / "f.mp4", "--output", folder / "last.mp4")
    with pytest.raises(UserError, match=r"has 5 frames, and source .*frames has 4; give one mask for each frame"):
        run(*reference_words(folder, **given, output=folder / "g.mp4"))
    with pytest.raises(UserError, match=r"output lies in the folder source .*frames; choose one outside it"):
        run(*reference_words(folder, **given, output=folder / "frames" / "g.mp4"))
    with pytest.raises(UserError, match=r"clip\.mp4 is not a folder of frames and has its own frame rate; leave"):
        run(*reference_words(folder, fps=5, output=folder / "g.mp4"))


def test_a_mask_on_the_atlas_edits_all_frames(folder):
    shape = CLIP_SHAPE.shape
    network = exact_atlas(CLIP_SHAPE)
    foreground = render_atlas(network, shape, resolution=native_resolution(network, shape)).layers["foreground"]
    columns = foreground.points[0, ROWS, square_columns(0, 12)][..., 0]
    mask = torch.zeros(1, *foreground.size)
    mask[..., int(columns.min()) : int(columns.mean()) + 1] = 1  # the left half of the square
    write_image(mask, folder / "on_atlas.png")
    run(*reference_words(folder, mask=folder / "on_atlas.png", mask_on_atlas="true"))
    edited = frames_of(folder / "e.mp4")
    for frame in (0, 4):
        square = edited[frame, ROWS, square_columns(frame, 12)][2:-2]
        assert square[:, 1:4].min() > 220 and np.abs(square[:, 8:] - (230, 26, 26)).max() < 40
    with pytest.raises(
        UserError, match=r"m\.png is 32 x 32 pixels, and the foreground of the atlas \d+ x \d+; paint it"
    ):
        run(*reference_words(folder, mask_on_atlas="true", output=folder / "e2.mp4"))


def test_a_batch_edits_one_clip_several_times(folder, capsys):
    rows = [{"output": f"e{number}.mp4", "seed": number} for number in range(2)]
    with (folder / "edits.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["source", "mask", "reference", "output", "seed"])
        writer.writeheader()
        writer.writerows({"source": "clip.mp4", "mask": "m.png", "reference": "r.png"} | row for row in rows)
    nothing = dict.fromkeys(("source", "mask", "reference", "output"))
    batch = reference_words(folder, **nothing, batch=folder / "edits.csv")
    run(*batch)
    assert "edited 2 of 2 rows" in capsys.readouterr().out and read_settings(folder / "e1.mp4")["seed"] == 1
    run(*batch)
    assert "edited 0 of 2 rows; already there: 2" in capsys.readouterr().out
    with pytest.raises(UserError, match="2 lines were skipped"):
        run(*batch, "--edited_layer", "foreground")
    assert "made with other settings (edited_layer was auto, is foreground)" in capsys.readouterr().err


def test_mistakes_are_named(folder, tmp_path):
    def refused(arguments: list[object], message: str) -> None:
        with pytest.raises(UserError, match=message):
            run(*arguments)

    refused(layer_words(folder, atlas=folder / "none"), r"atlas .*none: no finished atlas; make one with python -m")
    refused(layer_words(folder, output=folder / "e.png"), r"expected a name ending in \.mp4, \.mkv, \.mov")
    refused(layer_words(folder, atlas=None), r"output is .*e\.mp4, expected .* \.png; for a clip, give its atlas")
    refused(layer_words(folder, atlas=None, atlas_layer="background"), "atlas_layer.*: only for clips; give the clip's")
    refused(layer_words(folder, mask=folder / "m.png"), "mask is for pictures; a clip's atlas says what is foreground")
    refused(
        layer_words(folder, editor="tests.editors.example_layer_editor.RedLayer"), "atlas is for the default editor"
    )
    refused(layer_words(folder, grid="true"), "grid shows edits of pictures")
    refused(layer_words(folder, source=folder / "absent.mp4"), "no such clip")
    refused(layer_words(folder, layer_format="gif"), "layer_format")
    refused(
        reference_words(folder, atlas=None, edited_frame=2, output=folder / "e.png"), "edited_frame: only for clips"
    )
    refused(reference_words(folder, max_frames=4), "has more than 4 frames")
    refused(reference_words(folder, reference=folder), "reference .*: is a folder; expected a picture")
    refused(reference_words(folder, fps=0), "fps is 0.0, expected more than 0")
    refused(
        reference_words(folder, mask=folder / "masks.png", mask_on_atlas="true"), "has 5 frames; paint a single mask"
    )
    refused(reference_words(folder, edited_frame=6), "is that of frame 6, and source .* has 5; choose one of them")
    write_frames(CLIP_SHAPE.masks[:3], folder / "three.png")
    refused(
        reference_words(folder, mask=folder / "three.png"), "has 3 frames, and source .* has 5; give one mask for each"
    )
    write_image(torch.rand(3, SIDE, SIDE), folder / "photo.png")
    refused(reference_words(folder, mask=folder / "photo.png"), "as a photograph is")
    write_image(CLIP_SHAPE.masks[0][:, :20], folder / "low.png")
    refused(reference_words(folder, mask=folder / "low.png"), "is 32 x 20 pixels and source .* 32 x 32; export both")
    levels = [to_levels(frame) for frame in CLIP_SHAPE.frames]
    write_h264(folder / "one.mp4", levels[:1], fps=8)
    refused(reference_words(folder, source=folder / "one.mp4"), "has 1 frame, expected a clip of at least 2")
    write_h264(folder / "four.mp4", levels[:4], fps=8)
    refused(
        reference_words(folder, source=folder / "four.mp4"),
        "the atlas of a clip of 5 frames .* the source has 4 frames",
    )
    save_atlas(exact_atlas(CLIP_SHAPE), folder / "atlas", psnr=40.0)
    refused(reference_words(folder), r"reconstructs the source with \d+\.\d dB, expected at least 37\.0; give the clip")
    assert not (folder / "e.mp4").exists()
