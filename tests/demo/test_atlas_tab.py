"""The tab for clips with an atlas: its frame, an edit from a reference or a prompt, its clips, and what is missing."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
import torch

from mimicbrush.atlas.atlas_training import CONTENT, content_of
from mimicbrush.atlas.stored_atlas import save_atlas
from mimicbrush.demo.atlases import clip_editors
from mimicbrush.demo.atlases.atlas_handlers import PROMPT, AtlasHandlers, ChosenClip, command_for
from mimicbrush.demo.atlases.clip_editors import ClipEditors
from mimicbrush.demo.config import DemoConfig
from mimicbrush.demo.page import build_page
from mimicbrush.demo.painter import to_browser
from mimicbrush.demo.preconditions import announce
from mimicbrush.demo.result_panel import SAME, ResultPanel
from mimicbrush.demo.shared_editor import SharedEditor
from mimicbrush.demo.strokes import PaintedPicture, Stroke
from mimicbrush.editors.text2live.clip_settings import CLIP_PRESETS
from mimicbrush.errors import UserError
from mimicbrush.files import write_json
from mimicbrush.pictures.conversion import to_levels
from mimicbrush.requests import Edited, Editor, LayerRequest, ReferenceRequest
from mimicbrush.video.clip_writer import write_h264
from mimicbrush.video.whole_clip import WholeClip, as_tensor, read_whole_clip
from tests.atlas.moving_square import STEP, exact_atlas, moving_square
from tests.demo.conftest import free_port, write_picture

VISITOR = SimpleNamespace(session_hash="a")
SIDE, ROWS, NUM_COLUMNS, NUM_FRAMES = 48, slice(16, 32), 16, 4
GIVEN = {"number": 2, "within_layer": True, "keep_shape": False, "prompts": ["", None], "atlas_layer": "foreground"}
BOX = Stroke(tool="box", points=[(2 + STEP, ROWS.start), (2 + STEP + NUM_COLUMNS, ROWS.stop)])
"""Around the square in the second frame."""


class PaintsGreen(Editor):
    """Paints the mask of a picture green, in two steps."""

    request_class = ReferenceRequest

    def edit(self, request: ReferenceRequest, *, on_progress=None) -> Edited:
        green = torch.tensor([0.0, 0.8, 0.0])[:, None, None]
        edited = Edited(torch.where(request.mask > 0.5, green, request.source))
        for share in (0.5, 1.0):
            on_progress(share, lambda: edited)
        return edited


class WhiteLayer(Editor):
    """Draws the same white layer over each frame, in two steps."""

    request_class = LayerRequest

    def edit(self, request: LayerRequest, *, on_progress=None) -> Edited:
        edited = Edited(torch.ones_like(request.source), {"rgba": torch.ones(len(request.source), 4, SIDE, SIDE)})
        for share in (0.5, 1.0):
            on_progress(share, lambda: edited)
        return edited


def write_clip_and_atlas(folder: Path) -> Path:
    """Write a clip of a moving square, and its atlas into a folder of atlases; return the clip."""
    known = moving_square(SIDE, ROWS, num_columns=NUM_COLUMNS, num_frames=NUM_FRAMES)
    write_h264(folder / "clip.mp4", [to_levels(frame) for frame in known.frames], fps=8)
    own = folder / "atlases" / "square"
    own.mkdir(parents=True)
    save_atlas(exact_atlas(known), own, psnr=0.0)
    frames = as_tensor(read_whole_clip(folder / "clip.mp4", max_frames=NUM_FRAMES))
    write_json(content_of(frames, None)._asdict(), own / CONTENT)
    return folder / "clip.mp4"


@pytest.fixture
def clip(tmp_path) -> str:
    return str(write_clip_and_atlas(tmp_path))


@pytest.fixture
def config(clip, tmp_path) -> DemoConfig:
    spec = {"class_path": f"{__name__}.PaintsGreen"}
    return DemoConfig(device="cpu", editors={"reference": spec}, atlases=tmp_path / "atlases", layer_clip="asset:clip")


@pytest.fixture
def handlers(config, folders) -> AtlasHandlers:
    editors = ClipEditors(SharedEditor(PaintsGreen(), config.limits))
    return AtlasHandlers(editors, config, folders)


def choose(handlers: AtlasHandlers, clip: str | None) -> tuple[ChosenClip, ResultPanel]:
    made = handlers.choose_clip(VISITOR, clip)
    return ChosenClip(*made[:5]), ResultPanel(*made[5:])


def start(handlers: AtlasHandlers, clip: str | None, tmp_path: Path, **changes) -> Iterator[ResultPanel]:
    reference = to_browser(PaintedPicture(picture=write_picture(tmp_path / "r.png"), size=(80, 60)))
    given = {"clip": clip, "source": None, "reference": reference, "seed": 3, **GIVEN} | changes
    return handlers.edit(VISITOR, results=None, **given)


def painted(handlers: AtlasHandlers, clip: str) -> object:
    """The second frame as the browser sends it, with the square painted over."""
    return handlers.show_frame(clip, 2).model_copy(update={"strokes": [BOX]})


def test_the_edit_of_a_painted_frame_moves_with_the_clip(handlers, clip, tmp_path):
    chosen, panel = choose(handlers, clip)
    assert "Its atlas was found: square" in chosen.note and chosen.frame["maximum"] == NUM_FRAMES
    assert chosen.source.size == (SIDE, SIDE) and chosen.canvas["visible"] and "appears here" in panel.status
    _, first, *_, done = start(handlers, clip, tmp_path, source=painted(handlers, clip))
    assert "Step 1 of 2" in first.status and "Done in" in done.status and done.slider["visible"] is False
    frames = read_whole_clip(done.results.config.output, max_frames=NUM_FRAMES).frames.astype(int)
    for number in range(NUM_FRAMES):
        middle = 2 + STEP * number + NUM_COLUMNS // 2
        assert np.abs(frames[number, 24, middle] - (0, 204, 0)).max() < 12
        assert np.abs(frames[number, 8, 40] - read_whole_clip(Path(clip), max_frames=4).frames[number, 8, 40]).max() < 6
    _, overlay, mask, layer = handlers.show_all(done.results)
    assert overlay["visible"] and mask["visible"] and Path(layer["value"]).name == "result-rgba.webm"
    with zipfile.ZipFile(done.zip_file["value"]) as archive:
        names, replay = set(archive.namelist()), archive.read("edit/replay.txt").decode()
    given, made = {"source.mp4", "mask.png", "reference.png"}, {"result.mp4", "result-rgba.webm", "result-mask.png"}
    assert names == {f"edit/{name}" for name in given | made | {"replay.txt"}}
    assert "--atlas ATLAS --replay result.mp4 --output again.mp4" in replay


def test_a_clip_that_was_set_with_its_frame_gets_a_canvas(handlers, clip, tmp_path):
    note, canvas, frame = handlers.show_atlas(clip)
    assert "Its atlas was found: square" in note and canvas["visible"] and frame == gr.update(maximum=NUM_FRAMES)
    note, canvas, _ = handlers.show_atlas(str(tmp_path / "gone.mp4"))
    assert "Gone.mp4: no longer here" in note and not canvas["visible"]
    assert handlers.show_atlas(None) == (SAME, SAME, SAME)


def test_a_prompt_draws_a_layer_with_the_settings_of_the_page(handlers, clip, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(clip_editors, "load_editor", lambda config: asked.append(config) or WhiteLayer())
    *_, done = start(handlers, clip, tmp_path, guide=PROMPT, prompts=["a star\n", " "], atlas_layer="background")
    (config,) = asked
    assert (config.prompt, config.source_prompt, config.atlas_layer) == ("a star", None, "background")
    assert (config.clip, config.num_steps) == ("asset:clip", CLIP_PRESETS["release"].num_steps)
    assert config.atlas == tmp_path / "atlases" / "square" and "Done in" in done.status
    _, overlay, mask, layer = handlers.show_all(done.results)
    assert layer["visible"] and not overlay["visible"] and not mask["visible"]


def test_a_clip_without_an_atlas_gets_the_command_that_makes_one(handlers, tmp_path):
    write_h264(tmp_path / "other.mp4", [np.full((440, 500, 3), 60, np.uint8)] * 71, fps=8)
    chosen, _ = choose(handlers, str(tmp_path / "other.mp4"))
    assert chosen.clip and chosen.source is None and chosen.canvas["visible"] is False
    command = "--clip other.mp4 --box &#x27;[125, 110, 375, 330]&#x27; --num_frames 71 --short_side 440"
    assert command in chosen.note and "--output ATLASES/other" in chosen.note
    named = command_for(WholeClip(np.zeros((2, 16, 16, 3), np.uint8), [0, 1], 1), "my dog;rm.mp4")
    assert "--clip 'my dog;rm.mp4'" in named and named.endswith("--output 'ATLASES/my dog;rm'")
    *_, view = start(handlers, str(tmp_path / "other.mp4"), tmp_path, guide=PROMPT, prompts=["a star", ""])
    assert "no atlas of this clip" in view.status


def test_a_damaged_atlas_is_named_and_does_not_hide_another(handlers, clip, tmp_path):
    (other := tmp_path / "atlases" / "a damaged one").mkdir()
    for name in (CONTENT, "atlas.pt"):
        (other / name).write_text("{")
    assert "Its atlas was found: square" in choose(handlers, clip)[0].note
    (tmp_path / "atlases" / "square" / "atlas.pt").write_bytes(b"PK")
    chosen, panel = choose(handlers, clip)
    assert chosen.note == "" and "Square/atlas.pt: not a readable checkpoint" in panel.status


def test_what_is_missing_or_unfit_is_said_in_a_sentence(handlers, clip, tmp_path):
    *_, view = start(handlers, None, tmp_path, reference=None, seed=None)
    for sentence in ("No clip yet", "No reference yet", "Nothing is painted yet", "Seed is empty"):
        assert sentence in view.status
    *_, view = start(handlers, clip, tmp_path, guide=PROMPT)
    assert "No prompt yet; describe the edited clip" in view.status
    (tmp_path / "list.mp4").write_text("#EXTM3U\n/etc/passwd")
    chosen, panel = choose(handlers, str(tmp_path / "list.mp4"))
    assert chosen.clip is None and "List.mp4: cannot be read as a clip" in panel.status
    write_h264(tmp_path / "long.mp4", [np.zeros((16, 16, 3), np.uint8)] * 241, fps=8)
    assert "has more than 240 frames" in choose(handlers, str(tmp_path / "long.mp4"))[1].status
    other = to_browser(PaintedPicture(picture=write_picture(tmp_path / "o.png"), size=(80, 60), strokes=(BOX,)))
    *_, view = start(handlers, clip, tmp_path, source=other)
    assert "mask.png is 80 x 60 pixels" in view.status
    assert choose(handlers, None)[0].clip is None
    with pytest.raises(gr.Error, match=r"Gone\.mp4: no longer here"):
        handlers.show_frame(str(tmp_path / "gone.mp4"), 1)


def test_the_tab_appears_with_a_folder_of_atlases(handlers, config, folders):
    editors = {ReferenceRequest: handlers.editor.references}
    titles = [
        block["props"].get("label")
        for block in build_page(editors, config, folders).get_config_file()["components"]
        if block["type"] == "tabitem"
    ]
    assert titles == ["From a reference", "Clip with its atlas"]


def test_wrong_options_are_named_before_anything_is_loaded(tmp_path):
    with pytest.raises(UserError) as raised:
        DemoConfig(atlases=tmp_path / "none", layer_preset="large")
    assert [fault.split(",")[0] for fault in raised.value.faults] == [
        f"atlases is {tmp_path / 'none'}",
        "layer_preset is large",
    ]
    with pytest.raises(UserError, match="layer_clip draws layers over clips that have an atlas"):
        DemoConfig(layer_clip="asset:clip")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="empty"):
        announce(DemoConfig(atlases=tmp_path, layer_clip=str(tmp_path / "empty"), port=free_port()))
