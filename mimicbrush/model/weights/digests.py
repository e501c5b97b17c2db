"""Digests of the frozen tensors that a checkpoint leaves out, which must be unchanged when they are fetched again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch
from torch import Tensor

from mimicbrush.errors import UserError
from mimicbrush.model.lora import BASE
from mimicbrush.model.weights.tensors import Tensors

T = TypeVar("T")


def require_unchanged(
    digests: Mapping[str, str],
    found: Mapping[str, Tensors],
    origin: str,
    find_sources: Callable[[], Mapping[str, str]],
) -> None:
    """Raise UserError where fetched tensors are not those that the run was trained with.

    digests: `part.tensor` -> digest, as recorded in the checkpoint; older checkpoints record none, and nothing is
    compared. found: part -> its frozen tensors, in the precision of the run or of their source.
    origin: name of the checkpoint, for the message. find_sources: returns the source of each part, for the message.
    """
    plain = {name.replace(BASE, "."): digest for name, digest in digests.items()}
    tensors = {
        f"{part}.{name.replace(BASE, '.')}": tensor for part, named in found.items() for name, tensor in named.items()
    }
    changed = changed_tensors(plain, tensors)
    if not changed:
        return
    sources = find_sources()
    parts = dict.fromkeys(name.partition(".")[0] for name in changed)
    named = ", ".join(f"{part} from {sources[part]}" if part in sources else part for part in parts)
    raise UserError(
        f"{origin} leaves out frozen weights, and those fetched now are not those it was trained with: {len(changed)}"
        f" tensors have changed ({named}; first {changed[0]}); put the old weights back there, or start a new run with"
        " another output"
    )


def tensor_digest(tensor: Tensor, precision: str | None = None) -> str:
    """Compute `precision:SHA-256` of a tensor's shape and values, independent of device and memory order.

    precision: precision to which values are converted first, for instance `bfloat16`; by default the tensor's own.
    """
    precision = precision or str(tensor.dtype).removeprefix("torch.")
    values = tensor.detach().to("cpu", getattr(torch, precision)).contiguous()
    total = hashlib.sha256(repr(tuple(values.shape)).encode())
    total.update(values.reshape(-1).view(torch.uint8).numpy())
    return f"{precision}:{total.hexdigest()}"


def tensor_digests(tensors: Mapping[str, Tensor], precision: str | None = None) -> dict[str, str]:
    """Compute the digest of each tensor."""
    digests = _on_all_cores(lambda tensor: tensor_digest(tensor, precision), tensors.values())
    return dict(zip(tensors, digests, strict=True))


def changed_tensors(digests: Mapping[str, str], tensors: Mapping[str, Tensor]) -> list[str]:
    """Names of the tensors whose digest differs from the recorded one; compared in the recorded precision.

    Tensors recorded in half precision may thus be read in float32. Tensors read in another half precision than
    recorded cannot be compared, and are left out.
    """
    recorded = {name: digest.partition(":")[0] for name, digest in digests.items() if name in tensors}
    compared = [
        name
        for name, precision in recorded.items()
        if tensors[name].dtype in (getattr(torch, precision), torch.float32)
    ]
    found = _on_all_cores(lambda name: tensor_digest(tensors[name], recorded[name]), compared)
    return [name for name, digest in zip(compared, found, strict=True) if digest != digests[name]]


def _on_all_cores(digest: Callable[[T], str], items: Iterable[T]) -> list[str]:
    # hashlib releases the interpreter's lock while it reads a tensor.
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        return list(pool.map(digest, items))
