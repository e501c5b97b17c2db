"""Inputs that cannot be edited are refused, each in one sentence."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from mimicbrush.errors import UserError
from tests.edit.conftest import BATCH, arguments_for, ended, run, saved


def truncated(folder: Path) -> Path:
    (folder / "half.png").write_bytes((folder / "s.png").read_bytes()[:2000])
    return folder / "half.png"


def text(folder: Path) -> Path:
    (folder / "text.png").write_text("no picture")
    return folder / "text.png"


def without(folder: Path, lost: str) -> Path:
    shutil.copytree(folder / "weights", folder / "copied")
    (folder / "copied" / lost).unlink()
    return folder / "copied"


def with_empty(folder: Path, emptied: str) -> Path:
    shutil.copytree(folder / "weights", folder / "copied")
    (folder / "copied" / emptied).write_text("")
    return folder / "copied"


def noted(folder: Path, text: str) -> Path:
    """A PNG with a text where settings are looked for."""
    note = PngInfo()
    note.add_text("mimicbrush", text)
    Image.new("RGB", (8, 8)).save(folder / "odd.png", pnginfo=note)
    return folder / "odd.png"


def folder(at: Path) -> Path:
    (at / "dir.png").mkdir()
    return at / "dir.png"


REFUSED = {
    "mask empty": (lambda at: {"mask": saved(at, Image.new("L", (70, 50)))}, r"mask .*odd\.png is empty; paint"),
    "mask transparent": (
        lambda at: {"mask": saved(at, Image.new("RGBA", (70, 50)))},
        "transparent parts count as black",
    ),
    "mask white": (lambda at: {"mask": saved(at, Image.new("L", (70, 50), 255))}, r"mask .*odd\.png is all white"),
    "mask of another size": (lambda at: {"mask": saved(at, Image.new("L", (70, 51), 255))}, "70 x 51 .* 70 x 50"),
    "mask a folder": (lambda at: {"mask": at}, r"mask .*: is a folder; expected a picture"),
    "mask absent": (lambda at: {"mask": at / "absent.png"}, r"mask .*absent\.png: no such picture"),
    "image one pixel wide": (
        lambda at: {"source": saved(at, Image.new("RGB", (1, 50)))},
        r"source .*odd\.png is 1 x 50 pixels, expected at least 2",
    ),
    "image of 120 million pixels": (
        lambda at: {"source": saved(at, Image.new("1", (20_000, 6_000)))},
        r"source .*odd\.png is 20000 x 6000 pixels, expected at most 100 million; scale it down",
    ),
    "image of 400 million pixels": (
        lambda at: {"source": saved(at, Image.new("1", (20_000, 20_000)))},
        r"odd\.png: too large to be read .*; scale it down",
    ),
    "image truncated": (
        lambda at: {"source": truncated(at)},
        r"half\.png: not a readable .*; save or download it again",
    ),
    "image not an image": (lambda at: {"source": text(at)}, r"text\.png: not a readable picture"),
    "reference small": (
        lambda at: {"reference": saved(at, Image.new("RGB", (31, 50)))},
        r"reference .*odd\.png is 31 x 50 pixels, expected at least 32",
    ),
    "reference truncated": (lambda at: {"reference": truncated(at)}, r"half\.png: not a readable picture"),
    "box outside": (lambda at: {"reference_box": "[0, 0, 71, 50]"}, r"reference_box of .*r\.png is .* within 70 x 50"),
    "no reference": (lambda at: {"reference": "[]"}, "reference is an empty list; give one picture or several"),
    "boxes of others": (lambda at: {"reference_box": "[null, null]"}, "2 of reference_box for 1 references"),
    "no such weights": (lambda at: {"weights": at / "absent"}, r"does not exist; expected a mimicbrush\.bin"),
    "folder without weights": (lambda at: {"weights": at}, r"holds no weights; expected a mimicbrush\.bin"),
    "half-copied weights": (
        lambda at: {"weights": without(at, "vae/diffusion_pytorch_model.safetensors")},
        r"vae: no \.safetensors file; convert the weights again, or copy the folder whole",
    ),
    "float16 without a GPU": (
        lambda at: {"precision": "float16", "device": "cpu"},
        "precision is float16, which is for GPUs",
    ),
    "seed below": (lambda at: {"seed": -1}, "seed is -1, expected 0 to 2\\^63 - 1"),
    "seed above": (lambda at: {"seed": 2**63, "num_images": 2}, "expected 0 to 2\\^63 - 2"),
    "output a folder": (
        lambda at: {"output": folder(at), "force": True},
        r"dir\.png is a folder; choose another output",
    ),
    "output where no file can be": (
        lambda at: {"output": "/proc/e.png"},
        r"/proc/e\.png: cannot be written \(.*\); choose another output",
    ),
    "output in place of the source": (
        lambda at: {"source": at / "s.png", "output": at / "." / "s.png"},
        r"output would overwrite source .*s\.png",
    ),
    "empty file among the weights": (
        lambda at: {"weights": with_empty(at, "unet/config.json")},
        r"unet could not be loaded \(.*\); convert the weights again, or copy the folder whole",
    ),
    "box small": (lambda at: {"reference_box": "[0, 0, 20, 20]"}, r"reference .*r\.png, cropped, is 20 x 20 pixels"),
    "no such picture to replay": (lambda at: {"replay": at / "absent.png"}, r"absent\.png: no such picture or clip"),
    "replay and config": (
        lambda at: {"replay": at / "s.png", "config": at / "c.yaml"},
        "both set options; give",
    ),
    "offload without a GPU": (
        lambda at: {"offload": "sequential", "device": "cpu"},
        "sequential offload moves layers to a GPU, but none is available or chosen",
    ),
    "no steps": (
        lambda at: {"num_inference_steps": 0, "weights": at / "absent"},
        "num_inference_steps is 0, expected 1 to 1000",
    ),
    "guidance below": (
        lambda at: {"guidance_scale": -1, "weights": at / "absent"},
        "guidance_scale is -1, expected 0 to 100",
    ),
    "fingerprints of another kind": (
        lambda at: {"replay": noted(at, '{"sha256": {"source": 3}}')},
        r"odd\.png: holds no settings of an edit",
    ),
    "fingerprints that are none": (
        lambda at: {"replay": noted(at, '{"sha256": ["x"]}')},
        r"odd\.png: holds no settings of an edit",
    ),
    "mask grey": (
        lambda at: {"mask": saved(at, Image.new("L", (70, 50), 128))},
        r"mask .*odd\.png is nowhere darker than mid-grey, which counts as white, so nothing",
    ),
    "address": (
        lambda at: {"mask": "http://example.com/m.png"},
        "mask http:/example.com/m.png: is an address, and only files are read; download it first",
    ),
    "no mask": (lambda at: {"mask": None, "output": None}, "mask, output not given"),
    "nothing to replay": (lambda at: {"replay": at / "s.png"}, r"s\.png: holds no settings of an edit"),
    "folder as a batch": (lambda at: BATCH | {"batch": folder(at)}, r"dir\.png: is a folder; give a CSV file"),
    "batch and more": (lambda at: {"batch": at / "edits.csv"}, "batch names sources, .* outputs; remove these options"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_edited_ends_in_one_sentence_and_status_two(pictures, capsys, case):
    make, said = REFUSED[case]
    status, lines = ended(capsys, *arguments_for(pictures, **make(pictures)))
    assert status == 2 and len(lines) == 1
    assert re.search(rf"^error: .*{said}", lines[0])
    assert not (pictures / "e.png").exists()


@pytest.mark.parametrize("option", ["reference", "reference_box", "reference_mask"])
def test_an_option_given_twice_is_asked_for_as_a_list(pictures, option):
    with pytest.raises(
        UserError, match=rf"--{option} is given 2 times; give several as one list: --{option} '\[a, b\]'"
    ):
        run(*arguments_for(pictures, **{option: "first"}), f"--{option}=second")


SEVERAL = {
    "missing files": (
        lambda at: {"source": at / "no.png", "mask": at / "none.png", "weights": at / "absent"},
        ["source .*no.png: no such picture", "mask .*none.png: no such picture", ".*absent does not exist; expected"],
    ),
    "settings": (
        lambda at: {"seed": -1, "reference_box": "[4, 4, 2, 9]", "context": 0, "output": at / "e.jpg"},
        ["output is .*e.jpg", "seed is -1", "context is 0", r"reference_box is \[4, 4, 2, 9\]"],
    ),
    "pictures and output": (
        lambda at: {"mask": at / "none.png", "output": folder(at), "weights": at / "absent"},
        [r".*dir\.png exists; choose another", r"mask .*none\.png: no such picture", ".*absent does not exist"],
    ),
}


@pytest.mark.parametrize("case", SEVERAL)
def test_all_faults_of_an_edit_are_named_together(pictures, capsys, case):
    make, named = SEVERAL[case]
    status, (first, *faults) = ended(capsys, *arguments_for(pictures, **make(pictures)))
    assert status == 2 and first == f"error: {len(named)} faults:"
    for expected, fault in zip(named, faults, strict=True):
        assert re.match(f"- {expected}", fault)


def test_a_grey_mask_that_is_refused_brings_no_warning_beside_the_error(pictures, caplog):
    grey = saved(pictures, Image.new("L", (70, 50), 90))
    with pytest.raises(UserError, match="is empty"):
        run(*arguments_for(pictures, mask=grey))
    assert not caplog.messages
