from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from mimicbrush.config import dump_config, load_config, parse_config
from mimicbrush.config_layers import config_source, read_config_file
from mimicbrush.errors import UserError
from mimicbrush.evaluation.config import EvaluateConfig
from mimicbrush.training.config import TrainConfig
from tests.conftest import REPOSITORY

CONFIGS = REPOSITORY / "configs"


@dataclass(frozen=True, kw_only=True)
class Brush:
    """A brush."""

    width: float = 1.0
    """Pixels."""
    colours: list[str] = field(default_factory=list)
    """Names."""


@dataclass(frozen=True, kw_only=True)
class Painting:
    """A painting."""

    output: Path
    """Where it goes."""
    brush: Brush = field(default_factory=Brush)
    """The brush."""
    free: dict = field(default_factory=dict)
    """Anything."""
    steps: int = 3
    """Strokes."""


@pytest.fixture
def write(tmp_path):
    def write(**files: str) -> Path:
        """Returns the last one's path."""
        for name, text in files.items():
            path = tmp_path / name.replace("__", "/")
            path = path.with_suffix(".yaml")
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        return path

    return write


def test_mappings_are_merged_and_all_else_is_replaced(write):
    path = write(
        parts__lowest="steps: 9\nbrush: {width: 1e-5, colours: [red, blue]}\nfree: {a: {x: 1, y: 2}, b: '1e-5'}\n",
        lower="_base_: parts/lowest.yaml\noutput: lower\nfree: {a: {y: 3}, c: null}\n",
        upper="_base_: lower.yaml\noutput: upper\nbrush: {colours: [green]}\nfree: {a: {z: 4}, b: 5}\n",
    )
    expected = Painting(
        output=Path("upper"),
        brush=Brush(width=1e-5, colours=["green"]),
        free={"a": {"x": 1, "y": 3, "z": 4}, "b": 5, "c": None},
        steps=9,
    )
    assert load_config(Painting, path) == expected
    assert parse_config(Painting, ["--steps", "1", "--config", str(path)]).steps == 1
    assert list(read_config_file(path)["free"]) == ["a", "b", "c"]
    assert "_base_" not in dump_config(load_config(Painting, path))


def test_values_that_a_merge_key_brings_are_merged_too(write):
    path = write(
        lower="free: {one: &one {kind: a, size: {w: 1, h: 2}}, two: {<<: *one, kind: b}}\n",
        upper="_base_: lower.yaml\noutput: x\nfree: {two: {size: {h: 3}}}\n",
    )
    assert load_config(Painting, path).free == {
        "one": {"kind": "a", "size": {"w": 1, "h": 2}},
        "two": {"kind": "b", "size": {"w": 1, "h": 3}},
    }


def test_a_file_without_a_base_is_read_as_it_is(write):
    path = write(alone="output: x\n")
    assert config_source(path) == str(path)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"a": "_base_: gone.yaml\n"},
            r"a\.yaml: builds on .*gone\.yaml, which does not exist; copy that file too, or",
        ),
        ({"a": "_base_: .\n"}, r"a\.yaml: builds on .*, which is a folder; name a YAML file in _base_"),
        ({"a": "_base_: a.yaml\n"}, r"a\.yaml: builds on itself \(.*a\.yaml > .*a\.yaml\); take _base_ out"),
        ({"b": "_base_: a.yaml\n", "a": "_base_: b.yaml\n"}, r"b\.yaml: builds on itself \(.*a\.yaml > .*b\.yaml > "),
        ({"b": "steps: 1\nsteps: 2\n", "a": "_base_: b.yaml\n"}, r"b\.yaml: steps appears twice"),
        ({"b": "steps: 1\n", "a": "_base_: b.yaml\n_base_: b.yaml\n"}, r"a\.yaml: _base_ appears twice"),
        ({"b": "", "a": "_base_: b.yaml\n"}, r"b\.yaml: holds no options, and .*a\.yaml builds on it"),
        ({"b": "steps: [1\n", "a": "_base_: b.yaml\n"}, r"b\.yaml, line 2: cannot be read as YAML"),
        ({"a": "_base_: [b.yaml]\n"}, r"a\.yaml: _base_ must be the path of one YAML file"),
        ({"a": "output: x\nfree: &free {b: *free}\n"}, r"a\.yaml: an alias \(\*name\) is inside the value"),
        ({"b": "stepz: 1\n", "a": "_base_: b.yaml\noutput: x\n"}, "stepz"),
        ({"b": "steps: many\n", "a": "_base_: b.yaml\noutput: x\n"}, "steps"),
    ],
)
def test_mistakes_are_one_clear_line(write, files, message):
    with pytest.raises(UserError, match=message) as raised:
        load_config(Painting, write(**files))
    assert len(str(raised.value)) < 400


LAYERED = [path for path in sorted(CONFIGS.rglob("*.yaml")) if "_base_" in path.read_text()]


@pytest.mark.parametrize("path", LAYERED, ids=lambda path: path.stem)
def test_shipped_layers_repeat_nothing(path):
    """A value equal to the base's is redundant, and would hide a later change of the base."""
    own = yaml.safe_load(path.read_text())
    base = read_config_file(path.parent / own.pop("_base_"))
    assert list(repeated(own, base)) == []


def repeated(own: object, base: object, where: str = ""):
    if isinstance(own, dict) and isinstance(base, dict):
        for key in own.keys() & base.keys():
            yield from repeated(own[key], base[key], f"{where}.{key}")
    elif own == base:
        yield where


def test_shipped_layers_give_what_the_whole_files_gave():
    def train(name: str) -> TrainConfig:
        return load_config(TrainConfig, CONFIGS / "train" / f"{name}.yaml")

    wide = train("small_128")
    assert wide.network.reference_unet.arguments["block_out_channels"] == [96, 192, 384]
    assert wide.network.image_encoder.arguments["patch_size"] == 8
    assert wide.data.batch.augment.flip_prob == 0.1 and wide.data.batch.augment.rotation == 15
    assert (wide.run.accelerator, wide.run.heldout_loss_every, wide.run.record_every) == ("gpu", 1000, 50)
    short = train("small_ablations")
    assert (short.run.max_steps, short.run.heldout_loss_every, short.data.batch.mask.max_cells) == (300, 1000, 6)
    low = train("mimicbrush_16gb")
    assert (low.run.devices, low.run.samples_per_step, low.run.frozen_precision) == (1, 64, "bfloat16")
    assert (low.recipe.imitative_lora, low.network.imitative_unet.subfolder) == (64, "unet")
    assert train("mimicbrush_paper").run.frozen_precision == "float32"
    own = load_config(EvaluateConfig, CONFIGS / "eval" / "own.yaml").editors
    assert list(own)[:2] == ["MimicBrush", "swapped"] and len(own) == 6
    assert own["MimicBrush"]["init_args"] == own["swapped"]["init_args"]
    assert own["MimicBrush"]["init_args"]["checkpoint"] == "runs/own/train"
