"""Code shared by the metrics' networks: preprocessing, exact arithmetic, and a cache of results."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoImageProcessor, BaseImageProcessor

T = TypeVar("T")


def load_processor(folder: Path) -> BaseImageProcessor:
    """Load a network's preprocessing on Pillow, because torchvision, where it is installed, resizes differently."""
    return AutoImageProcessor.from_pretrained(folder, local_files_only=True, backend="pil")


@contextmanager
def exactly() -> Iterator[None]:
    """Compute without gradients and in full float32; TensorFloat-32 would let scores depend on batches and order."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.no_grad(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False, deterministic=True):
            yield
    finally:
        torch.set_float32_matmul_precision(before)


class ResultCache(Generic[T]):
    """The most recent results by the content of their input: each source and reference occurs once for every editor."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._results: OrderedDict[str, T] = OrderedDict()

    def look_up(self, items: Sequence[NDArray[np.uint8] | str], compute: Callable[[list], Sequence[T]]) -> list[T]:
        """Return a result for each item; `compute` receives the unknown items, each once."""
        keys = [_digest(item) for item in items]
        found = {key: self._results[key] for key in keys if key in self._results}
        unknown = {key: item for key, item in zip(keys, items, strict=True) if key not in found}
        if unknown:
            found |= zip(unknown, compute(list(unknown.values())), strict=True)
        for key in keys:
            self._results[key] = found[key]
            self._results.move_to_end(key)
        while len(self._results) > self.size:
            self._results.popitem(last=False)
        return [found[key] for key in keys]


def _digest(item: NDArray[np.uint8] | str) -> str:
    if isinstance(item, str):
        return item
    return hashlib.sha256(f"{item.shape}".encode() + np.ascontiguousarray(item).tobytes()).hexdigest()
