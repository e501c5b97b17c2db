from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from mimicbrush.config import parse_config
from mimicbrush.edit.kinds.reference_edit import ReferenceEditConfig
from mimicbrush.errors import Faults, UserError


@dataclass(frozen=True, kw_only=True)
class Part:
    """A nested config."""

    low: float = 0.1
    share: float


@dataclass(frozen=True, kw_only=True)
class Extra:
    """A nested config with a relation."""

    low: float = 0.1

    def __post_init__(self) -> None:
        if self.low < 0:
            raise UserError(f"extra.low is {self.low:g}, expected at least 0")


@dataclass(frozen=True, kw_only=True)
class Example:
    """A config with a field of each kind."""

    output: Path
    num_steps: int = 3
    scale: float = 1.0
    kind: Literal["plain", "fancy"] = "plain"
    devices: int | Literal["auto"] = "auto"
    seeds: list[int] = field(default_factory=list)
    limit: float | None = None
    part: Part = field(default_factory=lambda: Part(share=1))
    parts: list[Part] = field(default_factory=list)
    named: dict[str, Part] = field(default_factory=dict)
    free: dict[str, dict] = field(default_factory=dict)
    extra: Extra | None = None
    box: tuple[int, int, int, int] | None = None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--num_steps ten", '--num_steps: expected a whole number, found "ten"'),
        ("--num_steps=1.5", "--num_steps: expected a whole number, found 1.5"),
        ("--box [1,2,3]", "--box: expected 4 values, found 3"),
        ("--box [1,2,3,a]", '--box[3]: expected a whole number, found "a"'),
        ("--num_steps", "--num_steps: expected a whole number, found nothing"),
        ("--output=", "--output: expected a path, found an empty text"),
        ("--config=", "--config: expected a path, found an empty text"),
        (
            f"--output a/{'é' * 200}/b",
            "--output: expected a path, found a name of 400 bytes; those of files have at most 255",
        ),
        ("--output a\udcff", r"--output: a\udcff is not UTF-8; rename the file or folder"),
        ("--free.a.b --num_steps 3", "--free.a.b: expected a value, found nothing"),
        ("--kind grand", '--kind: expected one of plain, fancy, found "grand"'),
        ("--devices some", '--devices: expected a whole number or one of auto, found "some"'),
        ("--seeds [1,x]", '--seeds[1]: expected a whole number, found "x"'),
        ("--seeds 3", "--seeds: expected a list of whole numbers, found 3"),
        ("--limit low", '--limit: expected a number or null, found "low"'),
        ("--part.low x", '--part.low: expected a number, found "x"'),
        ("--part.lwo 3", "--part.lwo: no such option; did you mean --part.low?"),
        ("--num-stesp 3", "--num-stesp: no such option; did you mean --num_steps?"),
        ("--colour red", "--colour: no such option; see --help"),
        ("plain", "plain: unexpected; options are given as --name value"),
        ("--num_steps 2024-13-45", '--num_steps: expected a whole number, found "2024-13-45"'),
        ("--named.one.share much", '--named.one.share: expected a number, found "much"'),
        ("--named.one [{", '--named.one: expected a mapping {name: value}, found "[{"'),
        ("--extra.low -1", "extra.low is -1, expected at least 0"),
        ("--free.one.a.b 3", "free.one.a.b: a is text, expected a mapping {name: value}"),
    ],
)
def test_mistakes_on_the_command_line_are_explained(arguments, message):
    with pytest.raises(UserError) as raised:
        parse_config(Example, ["--output", "x", "--free", "{one: {a: text}}", *arguments.split()])
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"output: x\nnum_step: 3", ": num_step: no such option; did you mean num_steps?"),
        (b"output: x\nparts: [{low: 3}]", ": parts[0].share is required"),
        (b"output: x\nnamed: {one: {share: much}}", ': named.one.share: expected a number, found "much"'),
        (b"output: x\npart: 3", ": part: expected a mapping {name: value}, found 3"),
        (b"output: x\nseeds: [1, 2", ", line 2: cannot be read as YAML (expected ',' or ']', but got '<stream end>')"),
        (b"output: x\nnum_steps: 2024-13-45", ": holds a value that cannot be read as YAML (month must be in 1..12)"),
        (b"output: !new x", ", line 1: cannot be read as YAML (could not determine a constructor for the tag '!new')"),
        (b"? [a]\n: 3", ", line 1: cannot be read as YAML (found unhashable key)"),
        (b"- x", ': expected lines of `name: value`, found ["x"]'),
        (b"output: \xe9", ": expected a text file in UTF-8"),
    ],
)
def test_mistakes_in_a_file_are_explained(tmp_path, text, message):
    path = tmp_path / "a.yaml"
    path.write_bytes(text)
    with pytest.raises(UserError) as raised:
        parse_config(Example, ["--config", str(path)])
    assert str(raised.value) == f"{path}{message}"


def test_invalid_yaml_in_a_free_form_field_is_kept_as_text():
    arguments = ["--output", "x", "--free", "{one: {}}", "--free.one.day", "2024-13-45", "--free.one.name", "[{"]
    assert parse_config(Example, arguments).free == {"one": {"day": "2024-13-45", "name": "[{"}}


def test_missing_options_are_listed():
    with pytest.raises(UserError, match=r"^--output is required$"):
        parse_config(Example, ["--num_steps", "3"])


def test_numbers_that_yaml_takes_for_texts_are_no_faults():
    assert parse_config(Example, ["--output", "x", "--scale", "1e-4"]).scale == 1e-4
    with pytest.raises(UserError, match="--num_steps"):
        parse_config(Example, ["--output", "x", "--scale", "1e-4", "--num_steps", "x"])


def test_all_options_that_do_not_fit_are_named_in_their_order(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("num_step: 3\nparts: [{low: x}]")
    with pytest.raises(UserError) as raised:
        parse_config(Example, ["--config", str(path), "--colour", "red", "--scale=x", "--seeds", "[1, x, y]"])
    assert list(raised.value.faults) == [
        f"{path}: num_step: no such option; did you mean num_steps?",
        f'{path}: parts[0].low: expected a number, found "x"',
        f"{path}: parts[0].share is required",
        "--colour: no such option; see --help",
        '--scale: expected a number, found "x"',
        '--seeds[1]: expected a whole number, found "x"',
        '--seeds[2]: expected a whole number, found "y"',
        "--output is required",
    ]


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_texts_that_only_python_takes_for_numbers_are_named(value):
    with pytest.raises(UserError) as raised:
        parse_config(Example, ["--output", "x", f"--limit={value}", f"--scale={value}", "--colour=red"])
    assert list(raised.value.faults) == [
        f'--limit: expected a number or null, found "{value}"',
        f'--scale: expected a number, found "{value}"',
        "--colour: no such option; see --help",
    ]


@dataclass(frozen=True, kw_only=True)
class Inner:
    """A config that refuses by itself."""

    low: float = 0.1
    high: float = 0.2

    def __post_init__(self) -> None:
        faults = Faults()
        faults.check(self.low >= 0, f"low is {self.low:g}, expected at least 0")
        faults.check(self.low < self.high, "low must lie below high")
        faults.refuse()


@dataclass(frozen=True, kw_only=True)
class Group:
    """A config with a config inside."""

    inner: Inner = field(default_factory=Inner)
    size: int = 1

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"group.size is {self.size}, expected at least 1")


@dataclass(frozen=True, kw_only=True)
class Groups:
    """A config with several groups."""

    first: Group = field(default_factory=Group)
    group: Group = field(default_factory=Group)
    inner: Inner = field(default_factory=Inner)
    output: Path = Path()


def test_the_refusals_of_all_groups_are_named_by_their_paths():
    arguments = ["--first.inner.low=-1", "--group.size=0", "--inner.low=-2", "--inner.high=-3"]
    with pytest.raises(UserError) as raised:
        parse_config(Groups, arguments)
    assert list(raised.value.faults) == [
        "first.inner.low is -1, expected at least 0",
        "group.size is 0, expected at least 1",
        "inner.low is -2, expected at least 0",
        "inner: low must lie below high",
    ]


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ("[5,5", 'expected a list of whole numbers or a list of lists of whole numbers or null, found "[5,5"'),
        (
            "[9,5,3,8]",
            "is [9, 5, 3, 8], expected whole left, top, right, bottom in pixels, none below 0, with left below",
        ),
    ],
)
def test_the_refusal_of_an_invalid_box_describes_a_valid_one(box, message):
    pictures = ["--source=a.png", "--mask=b.png", "--reference=c.png", "--output=d.png", "--weights=w"]
    with pytest.raises(UserError) as raised:
        parse_config(ReferenceEditConfig, [*pictures, "--reference_box", box])
    assert message in str(raised.value)
