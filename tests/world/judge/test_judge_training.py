"""The judge's training: the same seed gives the same bytes, interrupted or not, and a card."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mimicbrush.errors import UserError
from mimicbrush.evaluation.metrics.judge_network import load_judge
from mimicbrush.training import step_loop
from mimicbrush.world.judge import labelled_crops
from mimicbrush.world.judge.config import JudgeConfig
from mimicbrush.world.judge.judge_training import augment, train_judge
from mimicbrush.world.judge.labelled_crops import OBJECTS, render_crops
from mimicbrush.world.sets.draws import DrawnStill, draw_scene
from mimicbrush.world.sets.splits import Combination
from mimicbrush.world.sets.vocabulary import Description

FILES = ("model.safetensors", "config.json")


@pytest.fixture(scope="module", autouse=True)
def _quick_stills() -> Iterator[None]:
    """Draw plain objects before plain walls, because the first render of a photograph takes a second."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(labelled_crops, "draw_judge_still", draw_plain_still)
        yield


def draw_plain_still(number: int, *, seed: int, is_held_out: bool) -> DrawnStill:
    generator = np.random.default_rng([number, seed, is_held_out])
    combination = Combination(("ball", "box")[generator.integers(2)], ("red", "blue")[generator.integers(2)])
    wall = "a rose wall"
    return DrawnStill(draw_scene(combination, wall, generator), Description(*combination, wall), "")


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> JudgeConfig:
    output = tmp_path_factory.mktemp("judge") / "run"
    config = JudgeConfig(
        output=output, num_samples=8, num_heldout=4, max_steps=4, batch_size=4, checkpoint_every=1, precision="float32"
    )
    train_judge(config)
    return config


def again(config: JudgeConfig, output: Path) -> JudgeConfig:
    """The same training in another folder, with the pictures already rendered."""
    shutil.copytree(config.output / "renders", output / "renders")
    return replace(config, output=output)


def assert_same_files(first: Path, second: Path) -> None:
    for name in FILES:
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(trained, tmp_path):
    train_judge(again(trained, tmp_path / "same"))
    assert_same_files(trained.output, tmp_path / "same")
    train_judge(replace(again(trained, tmp_path / "other"), seed=1))
    weights = [(folder / FILES[0]).read_bytes() for folder in (trained.output, tmp_path / "other")]
    assert weights[0] != weights[1]


def test_an_interrupted_run_resumes_to_the_same_bytes(trained, tmp_path, monkeypatch):
    config, save, num_saved = again(trained, tmp_path / "run"), step_loop.torch_save, []

    def save_twice(content: object, path: Path) -> None:
        if len(num_saved) == 2:
            raise KeyboardInterrupt
        num_saved.append(path)
        save(content, path)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(step_loop, "torch_save", save_twice)
        train_judge(config)
    assert not (config.output / FILES[0]).exists()
    train_judge(config)
    assert_same_files(trained.output, config.output)


def test_another_run_in_the_folder_is_refused(trained):
    with pytest.raises(UserError, match="holds another run"):
        train_judge(replace(trained, learning_rate=1e-5))


def test_the_card_has_accuracies_with_intervals(trained):
    card = json.loads((trained.output / "card.json").read_text(encoding="utf-8"))
    for head in ("object", "material"):
        assert card[head].keys() == {"all", "as drawn", "turned and smaller", "64 pixels", "96 pixels"}
        figures = card[head]["all"]
        assert figures["pictures"] == 4
        assert figures["interval"][0] <= figures["accuracy"] <= figures["interval"][1]


def test_the_written_judge_loads_with_its_names(trained):
    judge = load_judge(trained.output)
    assert judge.objects == OBJECTS
    assert not judge.training


def test_a_crop_follows_from_its_number_alone(tmp_path):
    arguments = {"sizes": (64,), "seed": 3}
    few = render_crops(tmp_path / "few", 1, is_held_out=False, **arguments)
    more = render_crops(tmp_path / "more", 2, is_held_out=False, **arguments)
    heldout = render_crops(tmp_path / "few", 1, is_held_out=True, **arguments)
    assert torch.equal(few.pixels[0], more.pixels[0])
    assert not torch.equal(few.pixels, heldout.pixels)


def test_augmented_crops_stay_near_the_rendered_ones():
    pixels = torch.from_numpy(np.random.default_rng(0).uniform(size=(6, 3, 8, 8))).float()
    smooth = torch.nn.functional.interpolate(pixels[..., :2, :2], (64, 64), mode="bilinear")
    changed = augment(smooth, torch.Generator().manual_seed(0))
    mirrored = torch.minimum(
        (changed - smooth).abs().mean((1, 2, 3)), (changed - smooth.flip(-1)).abs().mean((1, 2, 3))
    )
    assert 0 < mirrored.max() < 0.08
    assert changed.min() >= 0
    assert changed.max() <= 1


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"max_steps": 0}, "max_steps is 0, expected at least 1"),
        ({"picture_sizes": (16,)}, "picture_sizes is .* at least 32 pixels"),
    ],
)
def test_impossible_configs_are_refused(fields, message, tmp_path):
    with pytest.raises(UserError, match=message):
        JudgeConfig(output=tmp_path, **fields)
