"""Digests of tensors: frozen ones that a checkpoint leaves out must be the same when they are fetched again."""

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
    """Raise UserError where what was fetched now is not what the run was trained with.

    digests: of `part.tensor`, as the checkpoint records them; a checkpoint from before there were any has none, and
    nothing is compared. found: part -> its tensors, in the precision of the run or of their source, without what has
    been trained. For the message: origin, the checkpoint; find_sources, which says where each part was fetched.
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
    """`precision:SHA-256` of a tensor's shape and values, whatever its device and memory order.

    precision: in which the values are taken, for instance `bfloat16`; by default the tensor's own.
    """
    precision = precision or str(tensor.dtype).removeprefix("torch.")
    values = tensor.detach().to("cpu", getattr(torch, precision)).contiguous()
    total = hashlib.sha256(repr(tuple(values.shape)).encode())
    total.update(values.reshape(-1).view(torch.uint8).numpy())
    return f"{precision}:{total.hexdigest()}"


def tensor_digests(tensors: Mapping[str, Tensor], precision: str | None = None) -> dict[str, str]:
    """The digest of each tensor."""
    digests = _on_all_cores(lambda tensor: tensor_digest(tensor, precision), tensors.values())
    return dict(zip(tensors, digests, strict=True))


def changed_tensors(digests: Mapping[str, str], tensors: Mapping[str, Tensor]) -> list[str]:
    """Names of the tensors that have another digest than recorded, each in the precision in which it was recorded.

    Tensors recorded in half precision may thus be read in float32. Those read in another half precision than they were
    recorded in cannot be compared, and are left out.
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
