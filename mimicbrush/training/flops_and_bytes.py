"""Count the FLOPs and bytes of any computation on real or fake tensors."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from typing import TypeVar

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry, sdpa_backward_flop_count, sdpa_flop_count
from torch.utils.weak import WeakIdKeyDictionary

T = TypeVar("T")

ATTENTION = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
"""Attention kernel of the CPU; torch has formulas only for those of GPUs, which compute the same."""
ATTENTION_BACKWARD = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward


def count_flops(function: Callable[[], T]) -> tuple[T, int]:
    """Call a function; returns its result and its FLOPs."""
    with _FlopCounter() as counter:
        result = function()
    return result, counter.total


class _FlopCounter(TorchDispatchMode):
    """Counts FLOPs by torch's formulas; torch's FlopCounterMode also adds module hooks, which keep tensors alive."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        formula = flop_registry.get(func.overloadpacket)
        if func.overloadpacket is ATTENTION:
            self.total += sdpa_flop_count(*(states.shape for states in args[:3]))
        elif func.overloadpacket is ATTENTION_BACKWARD:
            self.total += sdpa_backward_flop_count(*(states.shape for states in args[:4]))
        elif formula:
            self.total += formula(*args, **(kwargs or {}), out_val=result)
        return result


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of tensors created in its context that are in use, and their peak; views count nothing."""

    def __init__(self, others: Iterable[Tensor]) -> None:
        super().__init__()
        self.now = 0
        self.peak = 0
        self._known = {tensor.untyped_storage()._cdata for tensor in others}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple | list) else (result,):
            if isinstance(tensor, Tensor):
                self._watch(tensor)
        return result

    def _watch(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        if storage._cdata in self._known:
            return
        self._known.add(storage._cdata)
        weakref.finalize(storage, self._forget, storage._cdata, storage.nbytes())
        self.now += storage.nbytes()
        self.peak = max(self.peak, self.now)

    def _forget(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size


class SavedBytes(saved_tensors_hooks):
    """Counts the bytes of storages that autograd keeps for backward, each once, without those of `others`."""

    def __init__(self, others: Iterable[Tensor]) -> None:
        super().__init__(self._pack, lambda tensor: tensor)
        self._others = {tensor.untyped_storage()._cdata for tensor in others}
        self._saved = WeakIdKeyDictionary()
        self.total = 0

    def __enter__(self) -> SavedBytes:
        super().__enter__()
        return self

    def __exit__(self, *args: object) -> None:
        super().__exit__(*args)
        self.total = sum(self._saved.values())

    def _pack(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in self._others:
            self._saved[storage] = storage.nbytes()
        # A saved result would otherwise keep its own operation alive, and never be freed.
        return tensor.detach()
