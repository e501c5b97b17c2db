import math
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from data_prep.config import PairConfig, WorkConfig
from mimicbrush.bench.config import TrainBenchConfig
from mimicbrush.config import dump_config, instantiate, load_config, parse_config
from mimicbrush.data.config import DataConfig
from mimicbrush.errors import UserError
from mimicbrush.evaluation.build.config import HeldoutSetConfig
from mimicbrush.evaluation.config import EvaluateConfig
from mimicbrush.requests import Editor
from mimicbrush.run_folder import claim
from mimicbrush.training.config import RecipeConfig, RunConfig, TrainConfig
from tests.conftest import REPOSITORY

AUTOENCODER = REPOSITORY / "configs" / "train" / "autoencoder.yaml"
"""A config of another command, which test_autoencoder.py parses."""


@dataclass(frozen=True, kw_only=True)
class Band:
    """A band."""

    low: float = 0.1
    """Lower edge."""
    high: float = 0.9
    """Upper edge."""
    strict: bool = False
    """A nested flag."""

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError(f"low={self.low} is above high={self.high}; swap them")


@dataclass(frozen=True, kw_only=True)
class Example:
    """An example."""

    output: Path
    """Where it goes."""
    band: Band = field(default_factory=Band)
    """A nested config."""
    steps: int = 3
    """A number."""
    check: bool = False
    """A flag."""


def test_yaml_then_command_line_then_defaults(tmp_path):
    (tmp_path / "a.yaml").write_text("output: there\nband: {low: 0.3}\n")
    found = parse_config(Example, ["--config", str(tmp_path / "a.yaml"), "--steps", "5"])
    assert found == Example(output=Path("there"), band=Band(low=0.3), steps=5)


def test_overrides_win_wherever_the_file_is_named(tmp_path):
    (tmp_path / "a.yaml").write_text("output: there\nsteps: 1\n")
    for config in (["--config", str(tmp_path / "a.yaml")], [f"--config={tmp_path / 'a.yaml'}"]):
        found = parse_config(Example, ["--output", "here", *config, "--steps", "2"])
        assert found == Example(output=Path("here"), steps=2)


@pytest.mark.parametrize(
    ("arguments", "flag", "nested"),
    [
        (["--check"], True, False),
        (["--check", "--steps", "5"], True, False),
        (["--band.strict", "--check"], True, True),
        (["--check", "false"], False, False),
        (["--check=false", "--band.strict", "true"], False, True),
        (["--check", "--check=false"], False, False),
    ],
)
def test_a_flag_may_stand_alone(arguments, flag, nested):
    found = parse_config(Example, ["--output", "x", *arguments])
    assert (found.check, found.band.strict) == (flag, nested)


def test_a_saved_config_is_loaded(tmp_path):
    config = Example(output=Path("x"), band=Band(high=0.5))
    (tmp_path / "a.yaml").write_text(dump_config(config))
    assert load_config(Example, tmp_path / "a.yaml") == config


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "output"),
        (["--output", "x", "--steps", "many"], "steps"),
        (["--output", "x", "--stepz", "3"], "stepz"),
        (["--output", "x", "--band.low", "0.95"], "low=0.95 is above high=0.9; swap them"),
        (["--config", "nowhere.yaml"], "nowhere.yaml"),
    ],
)
def test_mistakes_end_in_one_line(arguments, reason):
    with pytest.raises(UserError, match=reason) as raised:
        parse_config(Example, arguments)
    assert "\n" not in str(raised.value)


def test_a_folder_belongs_to_one_run(tmp_path):
    claim(tmp_path / "run", Example(output=Path("x")), free=("steps",))
    claim(tmp_path / "run", Example(output=Path("x"), steps=9), free=("steps",))
    with pytest.raises(UserError, match=r"band.low was 0.1, is 0.2"):
        claim(tmp_path / "run", Example(output=Path("x"), band=Band(low=0.2)), free=("steps",))


def test_a_run_from_before_an_option_was_begun_with_its_default(tmp_path):
    (tmp_path / "config.yaml").write_text("output: x\nband: {low: 0.1}\n")
    claim(tmp_path, Example(output=Path("x")))
    (tmp_path / "config.yaml").write_text("output: x\nband: {low: 0.1}\n")
    with pytest.raises(UserError, match=r"band.high was 0.9, is 0.8"):
        claim(tmp_path, Example(output=Path("x"), band=Band(high=0.8)))
    with pytest.raises(UserError, match=r"steps was 3, is 9"):
        claim(tmp_path, Example(output=Path("x"), steps=9))


def test_an_output_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be an output folder"):
        claim(tmp_path / "file" / "run", Example(output=Path("x")))


def test_a_user_error_inside_a_class_is_kept_unchanged():
    with pytest.raises(UserError, match=r"^nowhere/at/all does not exist"):
        instantiate("mimicbrush.editors.mimicbrush.MimicBrushEditor", {"checkpoint": "nowhere/at/all"}, Editor)


def test_classes_are_named_by_path():
    assert isinstance(instantiate("mimicbrush.editors.baselines.ClassicalInpainting", {"radius": 3}, Editor), Editor)


@pytest.mark.parametrize(
    ("class_path", "init_args", "message"),
    [
        ("mimicbrush.editors.baselines.Nobody", {}, "baselines.Nobody: no such class"),
        ("nothing.at.All", {}, "nothing.at.All: no such class"),
        ("mimicbrush.errors.UserError", {}, "UserError is not a subclass of mimicbrush.requests.Editor"),
        (
            "mimicbrush.editors.baselines.MeanColour",
            {"width": 3},
            "MeanColour: width: no such option; choose from ring",
        ),
        (
            "mimicbrush.editors.genvideo.GenVideoEditor",
            {"settings": {"tuning": {"pace": 3}}},
            r"settings\.tuning\.pace: no such option; choose from num_steps, learning_rate",
        ),
        (
            "mimicbrush.editors.baselines.MeanColour",
            {"ring": "wide"},
            'MeanColour: ring: expected a whole number, found "wide"',
        ),
    ],
)
def test_classes_that_cannot_be_built_are_named(class_path, init_args, message):
    with pytest.raises(UserError, match=message):
        instantiate(class_path, init_args, Editor)


def test_a_repeated_key_is_refused(tmp_path):
    (tmp_path / "twice.yaml").write_text("output: x\nband: {low: 0.1, low: 0.2}\n")
    with pytest.raises(UserError, match=r"twice\.yaml: low appears twice"):
        load_config(Example, tmp_path / "twice.yaml")


@dataclass(frozen=True, kw_only=True)
class Free:
    """A config with a free-form field."""

    parts: dict[str, dict]
    """Values of any kind."""


def test_one_entry_of_a_free_field_is_set_by_its_path(tmp_path):
    path = tmp_path / "free.yaml"
    path.write_text("parts: {one: {kind: a, arguments: {size: 1, colour: red}}, two: {kind: b}}")
    arguments = ["--config", str(path), "--parts.one.arguments.size", "2", "--parts.two.arguments.names=[x, y]"]
    assert parse_config(Free, arguments).parts == {
        "one": {"kind": "a", "arguments": {"size": 2, "colour": "red"}},
        "two": {"kind": "b", "arguments": {"names": ["x", "y"]}},
    }
    with pytest.raises(UserError, match=r"parts\.three\.kind: parts has no three, only one, two"):
        parse_config(Free, ["--config", str(path), "--parts.three.kind", "c"])


TRAINING_RUNS = sorted(set((REPOSITORY / "configs" / "train").glob("*.yaml")) - {AUTOENCODER})


@pytest.mark.parametrize("path", TRAINING_RUNS, ids=lambda path: path.stem)
def test_shipped_training_configs_parse(path):
    load_config(TrainConfig, path)


def test_an_editors_unknown_option_is_named_in_plain_words():
    editors = {"a": {"class_path": "x.Y", "foo": 1}}
    with pytest.raises(UserError, match=r"editors\.a\.foo: no such option"):
        EvaluateConfig(output=Path("out"), sets={"s": {}}, editors=editors)


@pytest.mark.parametrize(
    ("config_class", "options", "named"),
    [
        (RunConfig, {"max_steps": 0, "ema_decay": 2.0}, ["max_steps is 0", "ema_decay is 2.0"]),
        (RecipeConfig, {"learning_rate": math.nan, "warmup_steps": -1}, ["learning_rate is nan", "warmup_steps is -1"]),
        (PairConfig, {"ssim_low": 3.0, "min_gap": -1.0}, ["ssim_low is 3.0; SSIM lies", "min_gap is -1.0"]),
        (
            DataConfig,
            {"sources": [], "batch_size": 0, "shuffle_window": 0, "num_workers": -1},
            ["sources is empty", "batch_size is 0", "num_workers is -1", "shuffle_window is 0"],
        ),
        (
            HeldoutSetConfig,
            {"output": Path("out"), "shards": [], "num_pairs": 1},
            ["shards is empty", "num_pairs is 1"],
        ),
        (TrainBenchConfig, {"repeats": 0, "num_workers": -1}, ["repeats is 0", "num_workers is -1"]),
        (WorkConfig, {"task": 3, "workers": -1}, ["task is 3", "workers is -1"]),
        (
            EvaluateConfig,
            {"output": Path("out"), "sets": {}, "editors": {"a/b": {}}, "seeds": []},
            ["sets and editors", "seeds is", "'a/b' names a folder", "editors.a/b needs a class_path"],
        ),
    ],
)
def test_a_config_names_all_its_faults(config_class, options, named):
    with pytest.raises(UserError) as raised:
        config_class(**options)
    assert len(raised.value.faults) == len(named)
    assert all(fault.startswith(name) for fault, name in zip(raised.value.faults, named, strict=True))


@pytest.mark.parametrize(
    ("inpainter", "message"),
    [
        (
            {"class_path": "mimicbrush.editors.baselines.MeanColour", "init_args": {"rng": 3}},
            "MeanColour: rng: no",
        ),
        ({"class_path": "mimicbrush.editors.baselines.MeanColor"}, "baselines.MeanColor: no such class"),
        ("mimicbrush.editors.baselines.MeanColor", "baselines.MeanColor: no such class"),
        ({"class_pth": "a.B"}, "expected class_path and init_args, found {'class_pth': 'a.B'}"),
    ],
)
def test_mistakes_inside_an_argument_that_is_a_class_are_named(inpainter, message):
    with pytest.raises(UserError, match=f"MoveAndRepaintEditor: inpainter: .*{message}"):
        instantiate("mimicbrush.editors.move_and_repaint.MoveAndRepaintEditor", {"inpainter": inpainter}, Editor)
