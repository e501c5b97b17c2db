from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_prep.config import ObjectMaskConfig
from data_prep.demo.camera import CameraView, homography, overhang, random_path
from data_prep.demo.config import RenderDemoConfig
from data_prep.demo.demo_photographs import HELD_OUT, TRAIN, load
from data_prep.demo.render_triplets import plan_triplets
from data_prep.demo.rendering import render_demo
from data_prep.inputs.clip_files import list_videos
from data_prep.inputs.still_files import list_stills
from data_prep.stills.sam_stills import read_still
from mimicbrush.errors import UserError
from mimicbrush.pictures.skimage_photographs import SKIMAGE_PHOTOGRAPHS
from mimicbrush.video.clip_reader import probe

SMALL = {"size": 64, "train_clips": 1, "heldout_clips": 1, "stills": 1, "triplets": 2, "workers": 1}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("demo")
    render_demo(RenderDemoConfig(output=output, **SMALL))
    return output


def snapshot(output: Path) -> dict[str, tuple[bytes, int]]:
    files = (path for path in sorted(output.rglob("*")) if path.is_file() and path.parent != output)
    return {path.relative_to(output).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def test_no_photograph_is_trained_on_and_held_out() -> None:
    assert HELD_OUT.keys() == {name for name, photo in SKIMAGE_PHOTOGRAPHS.items() if photo.is_held_out}
    assert not {photo.file for photo in TRAIN.values()} & {photo.file for photo in HELD_OUT.values()}
    # Two views of one motorcycle: they must stand on the same side.
    assert {"motorcycle_left", "motorcycle_right"} <= TRAIN.keys()


def test_the_benchmark_shows_held_out_photographs_only(tmp_path: Path) -> None:
    held_out = {photo.file for photo in HELD_OUT.values()}
    triplets = plan_triplets(tmp_path, 12)
    for triplet in triplets:
        assert {triplet.source.photograph.file, triplet.reference.photograph.file} <= held_out
        inner = triplet.folder.name == "WithinInstance"
        assert (triplet.source.photograph.file == triplet.reference.photograph.file) == inner
    assert {triplet.source.photograph.file for triplet in triplets} == held_out


def test_rendered_files_are_what_the_commands_read(demo: Path) -> None:
    clips = list_videos(demo / "videos" / "train", output=demo / "out").clips
    assert len(clips) == len(TRAIN)
    info = probe(next(iter(clips.values())))
    assert (info.codec, info.width, info.height) == ("h264", 64, 64)
    assert 1.5 <= info.duration <= 2.1
    groups = {line.split(",")[1] for line in (demo / "videos/heldout/metadata.csv").read_text().splitlines()[1:]}
    assert groups == HELD_OUT.keys()
    for files in list_stills(demo / "stills", output=demo / "out").stills.values():
        still = read_still(files, ObjectMaskConfig(min_iou=0, min_stability=0), np.random.default_rng(0))
        assert still.facts["group"] in TRAIN


def test_benchmark_has_the_released_layout(demo: Path) -> None:
    for kind in ("WithinInstance", "CrossInstance"):
        folder = demo / "benchmark" / "TextureTrans" / kind
        for number in ("000", "001"):
            for part in ("source", "reference"):
                picture = Image.open(folder / f"{number}_{part}.png")
                mask = Image.open(folder / f"{number}_{part}_mask.png")
                assert (picture.mode, mask.mode, picture.size, mask.size) == ("RGB", "L", (64, 64), (64, 64))
                assert set(np.unique(np.asarray(mask))) == {0, 255}
                assert 0.04 < np.asarray(mask).mean() / 255 < 0.8
    prompts = json.loads((demo / "benchmark/TextureTrans/CrossInstance/prompts.json").read_text())
    assert prompts.keys() == {"000", "001"}
    assert all(prompt.count("#") == 2 for prompt in prompts.values())


def test_finished_files_are_not_made_again_and_missing_ones_return(demo: Path) -> None:
    before = snapshot(demo)
    lost = demo / "videos/train/brick-00.mp4"
    lost.unlink()
    (demo / "stills/demo_000000.json").unlink()
    render_demo(RenderDemoConfig(output=demo, **SMALL))
    after = snapshot(demo)
    assert {name: content for name, (content, _) in after.items()} == {
        name: content for name, (content, _) in before.items()
    }
    again = {name for name in after if name.endswith((".mp4", ".png")) and after[name] != before[name]}
    assert again == {"videos/train/brick-00.mp4"}


def test_another_demo_is_not_mixed_in(demo: Path) -> None:
    with pytest.raises(UserError, match="seed was 0, is 1"):
        render_demo(RenderDemoConfig(output=demo, **SMALL, seed=1))


def test_homography_maps_the_picture_onto_the_view() -> None:
    view = CameraView(x=100, y=50, side=40, angle=0, tilt_x=0, tilt_y=0)
    corners = homography(view, 20) @ np.array([[-0.5, -0.5, 1], [19.5, 19.5, 1]]).T
    assert np.allclose(corners[:2].T, [[80, 30], [120, 70]])
    assert overhang(view, 70, 120) == 0
    assert overhang(view, 60, 120) == pytest.approx(10 / 40)


def test_cameras_stay_within_their_photographs() -> None:
    generator = np.random.default_rng(0)
    for photograph in (*TRAIN.values(), *HELD_OUT.values()):
        height, width = load(photograph).shape[:2]
        reach = [overhang(view, height, width) for _ in range(5) for view in random_path(height, width, generator)]
        assert max(reach) < 0.1


@pytest.mark.parametrize("fields", [{"size": 63}, {"size": 2}, {"stills": -1}])
def test_bad_settings_name_their_field(fields: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(fields))):
        RenderDemoConfig(**fields)
