from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from mimicbrush.errors import UserError
from mimicbrush.flow.flow_files import read_flow, write_flow

FLOW = np.random.default_rng(0).normal(0, 20, (1, 2, 5, 7)).astype(np.float32)
HOLE = np.ones((1, 1, 5, 7), bool)
HOLE[..., 2, 3] = False


@pytest.mark.parametrize(("suffix", "error"), [(".flo", 0), (".npy", 0), (".npz", 0), (".pth", 0), (".png", 0.5 / 64)])
def test_flow_comes_back_from_every_format_in_the_same_bytes(tmp_path, suffix, error):
    paths = [tmp_path / f"{name}{suffix}" for name in ("first", "second")]
    for path in paths:
        write_flow(FLOW, path)
    stored = read_flow(paths[0])
    assert np.abs(stored.flow - FLOW).max() <= error + 1e-6 and stored.visible.all()
    assert paths[0].read_bytes() == paths[1].read_bytes()


@pytest.mark.parametrize("suffix", [".flo", ".npz", ".png"])
def test_unknown_flow_stays_unknown(tmp_path, suffix):
    write_flow(FLOW, tmp_path / f"flow{suffix}", visible=HOLE)
    stored = read_flow(tmp_path / f"flow{suffix}")
    assert (stored.visible == HOLE).all()
    assert suffix == ".npz" or not stored.flow[0, :, 2, 3].any()


def test_flo_and_kitti_are_as_published(tmp_path):
    """Middlebury's tag, sizes and order of components; KITTI's 64 levels a pixel around 2^15."""
    write_flow(FLOW, tmp_path / "flow.flo")
    encoded = (tmp_path / "flow.flo").read_bytes()
    assert struct.unpack("<fii2f", encoded[:20]) == pytest.approx((202021.25, 7, 5, *FLOW[0, :, 0, 0]))
    write_flow(FLOW, tmp_path / "flow.png", visible=HOLE)
    valid, down, right = cv2.imread(str(tmp_path / "flow.png"), cv2.IMREAD_UNCHANGED).transpose(2, 0, 1)
    assert right[0, 0] == round(64 * float(FLOW[0, 0, 0, 0])) + 2**15
    assert down[4, 6] == round(64 * float(FLOW[0, 1, 4, 6])) + 2**15
    assert (valid == HOLE[0, 0]).all()


def test_one_field_may_lack_its_first_axis(tmp_path):
    np.save(tmp_path / "flow.npy", FLOW[0])
    torch.save(torch.from_numpy(FLOW[0]), tmp_path / "flow.pth")
    for name in ("flow.npy", "flow.pth"):
        assert (read_flow(tmp_path / name).flow == FLOW).all()


def damaged(folder: Path, suffix: str) -> Path:
    path = folder / f"flow{suffix}"
    write_flow(FLOW, path)
    path.write_bytes(path.read_bytes()[:-9])
    return path


@pytest.mark.parametrize("suffix", [".flo", ".npy", ".npz", ".pth", ".png"])
def test_damaged_files_are_named(tmp_path, suffix):
    with pytest.raises(UserError, match=rf"flow\{suffix}: "):
        read_flow(damaged(tmp_path, suffix))


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".pth"])
def test_a_foreign_file_is_refused_without_advice_to_load_it_unsafely(tmp_path, suffix):
    path = tmp_path / f"flow{suffix}"
    path.write_bytes(b"x")
    with pytest.raises(UserError, match=rf"flow\{suffix}: not a readable flow file; write it again as \{suffix}$"):
        read_flow(path)


def test_mistakes_are_named_in_one_sentence(tmp_path):
    np.save(tmp_path / "last.npy", FLOW[0].transpose(1, 2, 0))
    np.save(tmp_path / "whole.npy", FLOW.astype(int))
    np.save(tmp_path / "nan.npy", FLOW * np.nan)
    np.savez(tmp_path / "other.npz", motion=FLOW)
    np.savez(tmp_path / "visible.npz", flow=FLOW, visible=HOLE[0])
    torch.save({"flow": torch.from_numpy(FLOW)}, tmp_path / "dict.pth")
    (tmp_path / "text.flo").write_text("no flow")
    expected = {
        "last.npy": r"its flow is \(5, 7, 2\), expected \(2, H, W\) or \(N, 2, H, W\); move the last axis",
        "whole.npy": "its flow is of int64, expected floating point",
        "nan.npy": "its flow holds NaN or infinity",
        "other.npz": "has no array called flow, but motion",
        "visible.npz": r"visible is bool \(1, 5, 7\), expected bool \(1, 1, 5, 7\)",
        "dict.pth": "holds a dict, expected one tensor",
        "text.flo": "not a .flo file, whose first bytes are PIEH",
        "absent.flo": "no such flow file",
        "flow.mat": "not a format of flow; expected a name that ends in .flo, .npy, .npz, .png, .pth",
    }
    for name, message in expected.items():
        with pytest.raises(UserError, match=f"{name}: {message}"):
            read_flow(tmp_path / name)


def test_a_format_that_cannot_hold_the_flow_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"holds one flow field, not 2; write \.npz"):
        write_flow(np.concatenate([FLOW, FLOW]), tmp_path / "flow.flo")
    with pytest.raises(UserError, match="less than 512 pixels each way"):
        write_flow(FLOW * 0 + 512, tmp_path / "flow.png")
    assert list(tmp_path.iterdir()) == []
