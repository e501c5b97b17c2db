"""Read and write flow files: Middlebury `.flo`, KITTI `.png`, `.npy`, `.npz` and `.pth`.

Arrays are those of `StoredFlow`. Imports no torch, except for `.pth`, so that workers which only write flow start fast.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mimicbrush.errors import UserError, first_line
from mimicbrush.files import whole, why_no_file
from mimicbrush.pictures.decoding import decode_file
from mimicbrush.pictures.writing import encode_png

FLO_TAG = b"PIEH"
"""First bytes of a `.flo` file: the number 202021.25 as float32."""
FLO_UNKNOWN = 1e9
"""Larger components mean an unknown flow in a `.flo` file."""
KITTI_ZERO, KITTI_SCALE = 2**15, 64
"""A level of a KITTI picture is KITTI_SCALE times the pixels, plus KITTI_ZERO."""


class StoredFlow(NamedTuple):
    """Flow fields as they are kept in a file."""

    flow: NDArray[np.float32]
    """(N, 2, H, W) in pixels on the first frame's grid, x to the right, then y down; finite."""
    visible: NDArray[np.bool_]
    """(N, 1, H, W), whether the flow is known and its point is seen in both frames; its flow is 0 where it is not
    known."""


def read_flow(path: Path) -> StoredFlow:
    """Read a flow file by its suffix; N is 1 in formats that hold one field.

    Raises UserError, which names the file, if it is missing, damaged, of another shape, or holds NaN.
    """
    read = format_of(path).read
    if not path.is_file():
        raise UserError(f"{path}: {why_no_file(path, 'flow file')}")
    try:
        stored = read(path)
    except UserError:
        raise
    except Exception as error:  # numpy, zipfile and torch raise many kinds of errors for damaged files
        # The libraries' own texts advise to load pickles, which would run code; only those of the system are shown.
        reason = f" ({first_line(error):.200})" if isinstance(error, OSError) else ""
        raise UserError(f"{path}: not a readable flow file{reason}; write it again as {path.suffix}") from None
    if not np.isfinite(stored.flow).all():
        raise UserError(f"{path}: its flow holds NaN or infinity; write finite pixels")
    return stored


def write_flow(flow: NDArray[np.floating], path: Path, *, visible: NDArray[np.bool_] | None = None) -> None:
    """Write (N, 2, H, W) in pixels, atomically, in the format of the suffix.

    visible: (N, 1, H, W), by default everywhere; `.npy` and `.pth` do not keep it. Raises UserError where a format
    cannot hold the flow. The same flow gives the same bytes.
    """
    flow = _as_fields(np.asarray(flow), path)
    visible = np.ones((len(flow), 1, *flow.shape[2:]), bool) if visible is None else _as_visible(visible, flow, path)
    write = format_of(path).write
    if path.suffix.lower() in (".flo", ".png") and len(flow) != 1:
        raise UserError(f"{path}: {path.suffix} holds one flow field, not {len(flow)}; write .npz")
    with whole(path) as partial:
        write(StoredFlow(flow, visible), partial)


def _read_flo(path: Path) -> StoredFlow:
    encoded = path.read_bytes()
    if encoded[:4] != FLO_TAG:
        raise UserError(f"{path}: not a .flo file, whose first bytes are {FLO_TAG.decode()}")
    width, height = struct.unpack("<ii", encoded[4:12])
    if min(width, height) < 1 or len(encoded) != 12 + 8 * width * height:
        raise UserError(f"{path}: has {len(encoded)} bytes, expected {12 + 8 * width * height} for {width}x{height}")
    flow = np.frombuffer(encoded, "<f4", offset=12).reshape(height, width, 2).transpose(2, 0, 1)[None]
    visible = (np.abs(flow) <= FLO_UNKNOWN).all(axis=1, keepdims=True)
    return StoredFlow(np.where(visible, flow, 0).astype(np.float32), visible)


def _write_flo(stored: StoredFlow, path: Path) -> None:
    height, width = stored.flow.shape[2:]
    flow = np.where(stored.visible, stored.flow, np.float32(10 * FLO_UNKNOWN))[0]
    path.write_bytes(FLO_TAG + struct.pack("<ii", width, height) + flow.transpose(1, 2, 0).astype("<f4").tobytes())


def _read_kitti(path: Path) -> StoredFlow:
    levels = decode_file(path).levels
    if levels.dtype != np.uint16 or levels.shape[2] != 3:
        raise UserError(f"{path}: not a flow picture of KITTI, which is RGB of 16 bits a channel")
    visible = levels[None, None, ..., 2] > 0
    flow = (levels[..., :2].astype(np.float32).transpose(2, 0, 1)[None] - KITTI_ZERO) / KITTI_SCALE
    return StoredFlow(np.where(visible, flow, 0).astype(np.float32), visible)


def _write_kitti(stored: StoredFlow, path: Path) -> None:
    visible = stored.visible[0, 0]
    levels = np.where(visible, np.round(stored.flow[0].astype(np.float64) * KITTI_SCALE) + KITTI_ZERO, 0)
    if levels.min() < 0 or levels.max() >= 2**16:
        reach = KITTI_ZERO // KITTI_SCALE
        raise UserError(f"a flow picture of KITTI holds less than {reach} pixels each way; write .flo or .npz instead")
    path.write_bytes(encode_png(np.stack([*levels, visible], axis=-1).astype(np.uint16)))


def _read_npy(path: Path) -> StoredFlow:
    return _without_visible(np.load(path, allow_pickle=False), path)


def _write_npy(stored: StoredFlow, path: Path) -> None:
    with path.open("wb") as file:  # given a path, numpy would add a suffix
        np.save(file, stored.flow)


def _read_npz(path: Path) -> StoredFlow:
    with np.load(path, allow_pickle=False) as arrays:
        if "flow" not in arrays:
            raise UserError(f"{path}: has no array called flow, but {', '.join(arrays.files) or 'none'}")
        flow = _as_fields(arrays["flow"], path)
        if "visible" not in arrays:
            return _without_visible(flow, path)
        return StoredFlow(flow, _as_visible(arrays["visible"], flow, path))


def _write_npz(stored: StoredFlow, path: Path) -> None:
    with path.open("wb") as file:
        np.savez_compressed(file, flow=stored.flow, visible=stored.visible)


def _read_pth(path: Path) -> StoredFlow:
    import torch

    tensor = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(tensor, torch.Tensor):
        raise UserError(f"{path}: holds a {type(tensor).__name__}, expected one tensor (2, H, W) or (N, 2, H, W)")
    tensor = tensor.detach()
    return _without_visible((tensor.float() if tensor.is_floating_point() else tensor).numpy(), path)


def _write_pth(stored: StoredFlow, path: Path) -> None:
    import torch

    with path.open("wb") as file:  # given a path, torch would keep its name inside the file
        torch.save(torch.from_numpy(stored.flow), file)


def _without_visible(array: NDArray, path: Path) -> StoredFlow:
    flow = _as_fields(array, path)
    return StoredFlow(flow, np.ones((len(flow), 1, *flow.shape[2:]), bool))


def _as_fields(array: NDArray, path: Path) -> NDArray[np.float32]:
    """Complete (2, H, W) to (1, 2, H, W); raises UserError for other shapes, and for values that are no numbers."""
    shape = tuple(array.shape)
    if not np.issubdtype(array.dtype, np.floating):
        raise UserError(f"{path}: its flow is of {array.dtype}, expected floating point, in pixels")
    fields = array[None] if array.ndim == 3 else array
    if fields.ndim != 4 or fields.shape[1] != 2 or not fields.size:
        is_last = array.ndim >= 3 and shape[-1] == 2
        advice = "; move the last axis to the front" if is_last else ""
        raise UserError(f"{path}: its flow is {shape}, expected (2, H, W) or (N, 2, H, W){advice}")
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused as such
        return np.ascontiguousarray(fields, np.float32)


def _as_visible(visible: NDArray, flow: NDArray, path: Path) -> NDArray[np.bool_]:
    expected = (len(flow), 1, *flow.shape[2:])
    if visible.dtype != bool or visible.shape != expected:
        raise UserError(f"{path}: visible is {visible.dtype} {tuple(visible.shape)}, expected bool {expected}")
    return visible


class FlowFormat(NamedTuple):
    """How a format is read and written."""

    read: Callable[[Path], StoredFlow]
    write: Callable[[StoredFlow, Path], None]


FORMATS: dict[str, FlowFormat] = {
    ".flo": FlowFormat(_read_flo, _write_flo),
    ".npy": FlowFormat(_read_npy, _write_npy),
    ".npz": FlowFormat(_read_npz, _write_npz),
    ".png": FlowFormat(_read_kitti, _write_kitti),
    ".pth": FlowFormat(_read_pth, _write_pth),
}
"""How each format is read and written, by the file's suffix in small letters."""


def format_of(path: Path) -> FlowFormat:
    """The format of a file by its suffix; raises UserError for others."""
    found = FORMATS.get(path.suffix.lower())
    if found is None:
        raise UserError(f"{path}: not a format of flow; expected a name that ends in {', '.join(FORMATS)}")
    return found
