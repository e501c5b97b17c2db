"""Tensors by name: read so that nothing executable is ever loaded, and copied strictly."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Collection, Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO, Literal, NamedTuple

import torch
from torch import Tensor, nn

from mimicbrush.errors import UserError

Tensors = dict[str, Tensor]

MAX_NAMED = 3

MARK = b"sha256:"
"""Text before the digest at the end of a file."""
LENGTH = (len(MARK) + 2 * hashlib.sha256().digest_size).to_bytes(2, "little")
"""Bytes before the mark: a zip archive's last field, the length of its comment."""
CHUNK = 2**22
"""Bytes that are digested at once."""


class TrainedWeights(NamedTuple):
    """What a file or folder of trained weights holds."""

    kind: Literal["released checkpoint", "training run", "exported folder"]
    origin: str
    """Where it was read, for messages."""
    parts: dict[str, Tensors]
    """Part of the network -> its tensors; frozen parts may be absent, never half there. Of a run that trains adapters,
    these may stand without their base, until `with_adapters_folded`."""
    options: dict
    """The network's options as recorded beside the weights; of a release, those that its code hard-codes."""
    left_out: Mapping[str, str] = MappingProxyType({})
    """`part.tensor` -> digest of each frozen tensor that a run's checkpoint leaves out, as it was during training."""


class DamagedFileError(UserError):
    """A file of tensors that cannot be read, or whose bytes are not those that were written."""


def torch_save(content: object, path: Path) -> None:
    """`torch.save`, and a SHA-256 digest of all that it wrote at the file's end, which `torch_load` verifies.

    The digest is the comment of the zip archive that torch writes: `torch.load` and other readers pass over it.
    Raises UserError where the disk is full.
    """
    with path.open("wb+") as file:
        digesting = _Digesting(file)
        try:
            torch.save(content, digesting)
        except RuntimeError as error:
            # What torch makes of a write that fails.
            raise UserError(f"{path}: cannot be written ({error}); is the disk full?") from None
        # In place of the length of the comment, which is 0.
        file.seek(-len(LENGTH), os.SEEK_END)
        file.write(LENGTH + MARK + digesting.digest.hexdigest().encode())


class _Digesting:
    """A file for `torch.save` that digests what passes."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.digest = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        return self.file.write(data)

    def flush(self) -> None:
        self.file.flush()


def torch_load(path: Path) -> object:
    """The content of a file of `torch.save`: tensors and plain containers only, whatever the file's name.

    Raises DamagedFileError where it is damaged, foreign, or holds anything else, which is never loaded. Files of
    `torch_save` are verified; others, and those of older versions, hold no digest.
    """
    try:
        status = path.stat()
        damaged = _is_damaged(path.resolve(), status.st_size, status.st_mtime_ns)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except OSError as error:
        raise DamagedFileError(f"{path}: cannot be read ({error.strerror}); copy it again") from None
    if damaged:
        raise DamagedFileError(f"{path}: damaged (its bytes are not those that were written); copy it again")
    try:
        # Files of torch before 1.6 are no archives, and can only be read whole.
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except Exception as error:  # torch raises half a dozen kinds for a damaged or foreign file
        raise DamagedFileError(
            f"{path}: not a readable checkpoint ({type(error).__name__}: truncated, of another format, or holding more"
            " than tensors, which is never loaded); copy or download it again"
        ) from None


@lru_cache(maxsize=1024)
def _is_damaged(path: Path, size: int, changed: int) -> bool:
    """Whether a file holds a digest that is not that of its bytes; found out once while it stays as it is."""
    end = len(LENGTH) + len(MARK) + 2 * hashlib.sha256().digest_size
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size  # of a run that goes on, it may be a newer file by now
        file.seek(max(0, size - end))
        length, mark, written = (file.read(num) for num in (len(LENGTH), len(MARK), end))
        # Both, or it was written without: one flipped bit does not make a file of `torch_save` look like that.
        if length != LENGTH and mark != MARK:
            return False
        file.seek(0)
        digest = hashlib.sha256()
        left = size - end
        while left > 0 and (chunk := file.read(min(left, CHUNK))):
            digest.update(chunk)
            left -= len(chunk)
    digest.update(bytes(len(LENGTH)))
    return (length, mark, written) != (LENGTH, MARK, digest.hexdigest().encode())


def is_tensors(content: object) -> bool:
    """Whether this, read from a file, is tensors by name."""
    return isinstance(content, dict) and all(
        isinstance(name, str) and isinstance(tensor, Tensor) and tensor.layout == torch.strided
        for name, tensor in content.items()
    )


def in_precision_of(module: nn.Module, tensors: Tensors) -> Tensors:
    """The weights in the precision in which the module computes, whatever they are stored in."""
    dtypes = {name: own.dtype for name, own in module.state_dict().items()}
    return {
        name: tensor.to(dtypes.get(name, tensor.dtype)) if tensor.is_floating_point() else tensor
        for name, tensor in tensors.items()
    }


def load_strictly(
    module: nn.Module, tensors: Tensors, origin: str, *, assign: bool = False, may_lack: Collection[str] = ()
) -> None:
    """Copy `tensors` into `module`; raises UserError naming missing, unexpected and misshaped ones.

    assign: put the tensors themselves in place of the module's, which may then be without memory of its own.
    may_lack: names of tensors that need not be in the file.
    """
    require_fit(module, tensors, origin, assign=assign, may_lack=may_lack)
    module.load_state_dict(tensors, strict=False, assign=assign)


def require_fit(
    module: nn.Module, tensors: Tensors, origin: str, *, assign: bool = False, may_lack: Collection[str] = ()
) -> None:
    """Raise UserError where `load_strictly` would; changes nothing."""
    faults = _faults(module, tensors, assign=assign, may_lack=may_lack)
    if faults:
        raise UserError(f"{origin} does not fit this network: {'; '.join(faults)}; was it made with another config?")


def _faults(module: nn.Module, tensors: Tensors, *, assign: bool, may_lack: Collection[str]) -> list[str]:
    own = module.state_dict()
    misshaped = [
        f"{name} is {tuple(value.shape)}, expected {tuple(own[name].shape)}"
        for name, value in tensors.items()
        if name in own and value.shape != own[name].shape
    ]
    unexpected = sorted(tensors.keys() - own.keys())
    missing = sorted(own.keys() - tensors.keys() - set(may_lack))
    unlike = [name for name, value in tensors.items() if name in own and value.dtype != own[name].dtype]
    broken = [name for name, value in tensors.items() if not is_finite(value)]
    by_kind = (
        ("missing", missing),
        ("unexpected", unexpected),
        ("misshaped", misshaped),
        ("of another type", unlike if assign else []),
        ("not finite", broken),
    )
    return [f"{len(names)} {kind} ({_shortened(names)})" for kind, names in by_kind if names]


def is_finite(tensor: Tensor) -> bool:
    """Whether no element is NaN or infinite."""
    # The sum is NaN or infinite where an element is, at a fraction of the memory of looking at each.
    return tensor.is_meta or not tensor.is_floating_point() or bool(tensor.sum(dtype=torch.float64).isfinite())


def _shortened(names: list[str]) -> str:
    return ", ".join(names[:MAX_NAMED]) + (", ..." if len(names) > MAX_NAMED else "")
