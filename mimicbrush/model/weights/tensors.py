"""Named tensors: check them, and copy them strictly into a module."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from mimicbrush.errors import UserError

Tensors = dict[str, Tensor]

MAX_NAMED = 3


class TrainedWeights(NamedTuple):
    """Content of a file or folder of trained weights."""

    kind: Literal["released checkpoint", "training run", "exported folder"]
    origin: str
    """The file or folder, for messages."""
    parts: dict[str, Tensors]
    """Part of the network -> its tensors. Frozen parts may be absent, but never incomplete. Adapters of a run may lack
    their base, until `fold_adapters`."""
    options: dict
    """The network's options as recorded beside the weights; for a release, those that its code hard-codes."""
    left_out: Mapping[str, str] = MappingProxyType({})
    """`part.tensor` -> digest during training, for each frozen tensor that a run's checkpoint leaves out."""


def is_tensors(content: object) -> bool:
    """Whether the content of a file is a dict of tensors by name."""
    return isinstance(content, dict) and all(
        isinstance(name, str) and isinstance(tensor, Tensor) and tensor.layout == torch.strided
        for name, tensor in content.items()
    )


def in_precision_of(module: nn.Module, tensors: Tensors) -> Tensors:
    """Convert tensors to the precision of the module."""
    dtypes = {name: own.dtype for name, own in module.state_dict().items()}
    return {
        name: tensor.to(dtypes.get(name, tensor.dtype)) if tensor.is_floating_point() else tensor
        for name, tensor in tensors.items()
    }


def load_strictly(
    module: nn.Module, tensors: Tensors, origin: str, *, assign: bool = False, may_lack: Collection[str] = ()
) -> None:
    """Copy `tensors` into `module`; raises UserError naming missing, unexpected and misshaped ones.

    assign: replace the module's tensors instead of copying, so that the module needs no memory of its own.
    may_lack: names of tensors that may be missing.
    """
    require_fit(module, tensors, origin, assign=assign, may_lack=may_lack)
    module.load_state_dict(tensors, strict=False, assign=assign)


def require_fit(
    module: nn.Module, tensors: Tensors, origin: str, *, assign: bool = False, may_lack: Collection[str] = ()
) -> None:
    """Raise UserError where `load_strictly` would, without changing anything."""
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
    # The sum is not finite if an element is not, and takes a fraction of the memory of a test of each.
    return tensor.is_meta or not tensor.is_floating_point() or bool(tensor.sum(dtype=torch.float64).isfinite())


def _shortened(names: list[str]) -> str:
    return ", ".join(names[:MAX_NAMED]) + (", ..." if len(names) > MAX_NAMED else "")
