from __future__ import annotations

import csv
import errno
import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from data_prep.config import ObjectMaskConfig
from data_prep.inputs.still_files import list_stills
from data_prep.stills.sam_stills import read_still
from data_prep.world.config import PairCounts, RenderWorldConfig, SetSizes
from data_prep.world.write_clips import write_clip
from data_prep.world.write_pairs import PairShard, write_pair_shard
from data_prep.world.write_sets import EditTask, draw_sets, write_edit
from data_prep.world.write_stills import draw_training_still, write_stills
from data_prep.world.write_world import write_world
from mimicbrush.data.decode import decode_pair
from mimicbrush.data.shard_index import list_shards
from mimicbrush.data.shards import read_pairs
from mimicbrush.errors import UserError
from mimicbrush.evaluation.benchmark import list_samples
from mimicbrush.evaluation.benchmark_faults import find_faults
from mimicbrush.evaluation.config import BenchmarkSet
from mimicbrush.flow.flow_files import read_flow
from mimicbrush.pictures.writing import write_image
from mimicbrush.video.clip_reader import probe, read_frames
from mimicbrush.world.renderer.render import render
from mimicbrush.world.renderer.texture_folder import materials_in
from mimicbrush.world.sets.draws import draw_clip
from mimicbrush.world.sets.splits import Combination
from mimicbrush.world.sets.vocabulary import parse_caption

SIZE, FRAMES = 32, 3
SMALL = {
    "size": SIZE,
    "stills": 4,
    "clips": 2,
    "frames": FRAMES,
    "sets": SetSizes(reference=2, parts=1, text=1, motion=1, video=1, surface=1),
    "pairs": PairCounts(moved=2, heldout=2),
    "workers": 1,
}
TASKS = {
    "reference": "texture",
    "parts": "parts",
    "text": "text",
    "motion": "motion",
    "video": "video",
    "surface": "video",
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("world")
    write_world(RenderWorldConfig(output=output, **SMALL))
    return output


def snapshot(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def captions(folder: Path) -> dict[str, dict[str, str]]:
    with (folder / "captions.csv").open(newline="") as file:
        return {row["file"]: row for row in csv.DictReader(file)}


def test_stills_are_read_as_sa_1b(world: Path) -> None:
    rows = captions(world / "stills")
    found = list_stills(world / "stills", output=world / "out").stills
    assert len(found) == len(rows) == 4
    for name, files in found.items():
        still = read_still(files, ObjectMaskConfig(), np.random.default_rng(0))
        (mask,) = still.masks
        assert still.image.shape == (SIZE, SIZE, 3)
        assert 0.02 < mask.mean() < 0.5
        row = next(row for file, row in rows.items() if name.startswith(file.removesuffix(".jpg")))
        description = parse_caption(row["caption"])
        assert description[:2] == (row["object"], row["material"])
        assert description.background in (row["background"], None)
        assert Combination(*description[:2]).split == "training"


def test_clips_are_h264_with_exact_flow_and_layers(world: Path) -> None:
    rows = captions(world / "clips")
    assert [row["light_changes"] for row in rows.values()] == ["yes", "no"]
    for number, name in enumerate(rows):
        path = world / "clips" / name
        info = probe(path)
        assert (info.codec, info.width, info.height, info.duration) == ("h264", SIZE, SIZE, pytest.approx(FRAMES / 12))
        stored = read_flow(path.with_name(f"{path.stem}_flow.npz"))
        assert stored.flow.shape == (FRAMES - 1, 2, SIZE, SIZE)
        assert 0.5 < stored.visible.mean() < 1
        with np.load(path.with_name(f"{path.stem}_layers.npz")) as layers:
            foreground, shadow = layers["foreground"] / 255, layers["shadow"][..., None] / 255
            alpha = foreground[..., 3:]
            composed = layers["background"] / 255 * shadow * (1 - alpha) + foreground[..., :3] * alpha
            assert layers["foreground_to_picture"].shape == layers["background_to_picture"].shape == (FRAMES, 3, 3)
        frames = read_frames(path, list(np.arange(FRAMES) / 12), short_side=SIZE, exact=True).frames
        rendered = [render(scene, SIZE).picture for scene in draw_clip(number, seed=0).motion.scenes(FRAMES)]
        assert np.abs(composed - rendered).max() < 2 / 255
        # The encoder stores chroma at half the size, which such small pictures feel.
        assert np.abs(np.stack([frame.image for frame in frames]) / 255 - rendered).mean() < 0.06


@pytest.mark.parametrize("kind", TASKS)
def test_sets_are_sound_for_the_evaluation(world: Path, kind: str) -> None:
    benchmark_set = BenchmarkSet(folder=world / "sets" / kind, task=TASKS[kind], track="truth")
    assert find_faults(benchmark_set) == []
    samples = list_samples(benchmark_set)
    facts = json.loads((world / "sets" / kind / "samples.json").read_text())
    assert [sample.id for sample in samples] == sorted(facts)
    assert {entry["vocabulary"] for entry in facts.values()} == {"seen", "unseen"}
    if kind == "reference":
        assert [sample.id for sample in samples][:2] == ["000_other", "000_same"]
        assert samples[0].group == samples[1].group != samples[2].group
    if kind == "video":
        assert "000_larger" in facts
        assert samples[0].frames()[0].shape == (8, 3, SIZE, SIZE)


def test_pairs_are_shards_with_masks_and_points(world: Path) -> None:
    assert {path.name for path in (world / "shards").iterdir()} == {"moved", "heldout"}
    pairs = list(read_pairs(list_shards(world / "shards" / "heldout")))
    assert [pair.key for pair in pairs] == ["heldout-000000", "heldout-000001"]
    for pair in pairs:
        decoded = decode_pair(pair, SIZE, random.Random(0))
        assert not torch.equal(decoded.source, decoded.reference)
        assert 0.02 < decoded.object_mask.float().mean() < 0.5
        assert decoded.keypoints.isfinite().all()
        assert Combination(pair.origin["object"], pair.origin["material"]).split == "held_out"


def test_summary_and_sheets_say_what_there_is(world: Path) -> None:
    summary = json.loads((world / "summary.json").read_text())
    assert (summary["stills"]["num"], summary["clips"]["num"]) == (4, 2)
    assert summary["pairs"] == {"moved": 2, "heldout": 2}
    errors = summary["clips"]["warp_error_in_levels"]
    assert errors.keys() == {"evenly lit"} | {
        f"{kind}, {light} light" for kind in ("as rendered", "as decoded") for light in ("steady", "changing")
    }
    assert errors["evenly lit"] < 8
    assert errors["as rendered, steady light"] < errors["as decoded, steady light"]
    assert sum(summary["sets"]["reference"].values()) == 6
    sheets = {path.name for path in (world / "sheets").iterdir()}
    assert sheets == {f"{name}.png" for name in ("objects", "materials", "stills", "clips", *TASKS)}


def test_the_same_seed_gives_the_same_bytes(world: Path, tmp_path: Path) -> None:
    """Files of worker processes, of another moment, and of this process are equal."""
    write_stills([2], folder=tmp_path / "stills", size=SIZE, seed=0, textures={})
    for number in range(2):
        write_clip(number, folder=tmp_path / "clips", size=SIZE, frames=FRAMES, seed=0, textures={})
    for kind, edits in draw_sets(SMALL["sets"], size=SIZE, seed=0).items():
        write_edit(EditTask(tmp_path / "sets" / kind, edits[0]), size=SIZE)
    write_pair_shard(PairShard(tmp_path / "shards", "moved", 0, 2), size=SIZE, seed=0)
    again, before = snapshot(tmp_path), snapshot(world)
    assert len(again) > 30
    assert {name for name, content in again.items() if content != before[name]} == set()


def test_the_same_command_resumes(world: Path) -> None:
    before = snapshot(world)
    times = {path: path.stat().st_mtime_ns for path in world.rglob("*_source.png")}
    lost = ["stills/still_000001.json", "sets/text/000_source.png", "shards/moved/pairs-000000.json", "summary.json"]
    for name in lost:
        (world / name).unlink()
    write_world(RenderWorldConfig(output=world, **SMALL))
    assert snapshot(world) == before
    changed = {path.name for path, time in times.items() if path.stat().st_mtime_ns != time}
    assert changed == {"000_source.png"}


def test_another_world_is_not_mixed_in(world: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="another run: seed was 0, is 1; choose another output"):
        write_world(RenderWorldConfig(output=world, **SMALL, seed=1))
    (tmp_path / "stills").mkdir()
    (tmp_path / "stills" / "holiday.jpg").touch()
    with pytest.raises(UserError, match="holds results but no config"):
        write_world(RenderWorldConfig(output=tmp_path, **SMALL))


def test_a_full_disk_is_one_sentence_and_leaves_no_half_still(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("mimicbrush.files.sync", no_room)
    with pytest.raises(UserError, match=r"No space left on device.*run the same command again"):
        write_stills([0], folder=tmp_path, size=SIZE, seed=0, textures={})
    assert list(tmp_path.iterdir()) == []


def test_pictures_of_a_folder_become_materials(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (80, 80, 3), np.uint8)
    write_image(noise, tmp_path / "surfaces" / "Blue Denim.png")
    write_image(noise[:20, :20], tmp_path / "surfaces" / "tiny.png")
    nothing = {"stills": 0, "clips": 0, "sets": SetSizes(reference=0, parts=0, text=0, motion=0, video=0, surface=0)}
    config = RenderWorldConfig(output=tmp_path / "world", textures=tmp_path / "surfaces", **nothing)
    write_world(config)
    assert json.loads((config.output / "summary.json").read_text())["textures"] == ["blue-denim"]
    assert "tiny.png: skipped, it is 20 x 20 pixels" in capsys.readouterr().err
    textures, _ = materials_in(tmp_path / "surfaces")
    drawn = [draw_training_still(number, seed=0, textures=textures) for number in range(400)]
    shown = [each for each in drawn if each.description.material == "blue-denim"]
    assert shown
    assert all("blue-denim" in each.caption for each in shown)
    assert render(shown[0].scene, SIZE).picture.shape == (SIZE, SIZE, 3)


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="expected pictures of surfaces, found no picture file"):
        write_world(RenderWorldConfig(output=tmp_path / "world", textures=tmp_path))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"size": 30}, "size is 30; expected an even number of 32 or more"),
        ({"size": 65}, "size is 65"),
        ({"frames": 1}, "frames is 1; expected 2 or more"),
        ({"stills": -1}, "stills is -1"),
        ({"sets": SetSizes(video=-1)}, r"sets\.video is -1"),
        ({"pairs": PairCounts(moved=-1)}, r"pairs\.moved is -1"),
    ],
)
def test_bad_settings_name_their_field(fields: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        RenderWorldConfig(**fields)
