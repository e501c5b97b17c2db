"""The vocabulary that editors and evaluation share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mimicbrush.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

Precision = Literal["auto", "float32", "bfloat16", "float16"]


@dataclass(frozen=True, kw_only=True)
class EditRequest:
    """What every editor is given; one subclass for each kind of guidance.

    source: (T, 3, H, W) in [0, 1], a still image has T = 1; mask: (T, 1, H, W), 1 where the edit happens.
    Raises UserError where shapes disagree, the mask is empty, or a value is not finite.
    """

    source: Tensor
    mask: Tensor
    seed: int = 0

    def __post_init__(self) -> None:
        if self.source.ndim != 4 or self.source.shape[1] != 3:
            raise UserError(f"source must be (T, 3, H, W), found {tuple(self.source.shape)}")
        if min(self.source.shape[2:]) < 2:
            raise UserError(f"source is {tuple(self.source.shape)}, expected at least 2 pixels a side")
        expected = (self.source.shape[0], 1, *self.source.shape[2:])
        if tuple(self.mask.shape) != expected:
            raise UserError(f"mask is {tuple(self.mask.shape)}, the source needs {expected}; export both at one size")
        if not (self.source.isfinite().all() and self.mask.isfinite().all()):
            raise UserError("source or mask holds NaN or infinity; pass finite values in [0, 1]")
        if not (self.mask > 0.5).any():
            raise UserError("the mask is empty; paint the region to edit with 1 (white)")


@dataclass(frozen=True, kw_only=True)
class ReferenceRequest(EditRequest):
    """Repaint the masked region so that it imitates the matching part of a reference picture.

    reference: (3, h, w) in [0, 1], any size; keep_shape: follow the source's shape map (texture transfer).
    """

    reference: Tensor
    keep_shape: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.reference.ndim != 3 or self.reference.shape[0] != 3:
            raise UserError(f"reference must be (3, h, w), found {tuple(self.reference.shape)}")
        if not self.reference.isfinite().all():
            raise UserError("reference holds NaN or infinity; pass finite values in [0, 1]")


@dataclass(frozen=True, kw_only=True)
class TextRequest(EditRequest):
    """Repaint the masked region after a sentence. prompt: may be empty."""

    prompt: str = ""


class Editor(ABC):
    """Answers requests with edited pictures."""

    request_class: type[EditRequest] = ReferenceRequest
    """What it is guided by: requests of this class are what it is handed."""
    network: object | None = None
    """The network whose noise prediction *reference use* is measured on; None where an editor predicts no noise."""

    @abstractmethod
    def edit(self, request: EditRequest) -> Tensor:
        """(T, 3, H, W) in [0, 1], at the source's size."""

    def edit_batch(self, requests: list[EditRequest]) -> list[Tensor]:
        """One result per request, in order; each equals what `edit` alone would give."""
        return [self.edit(request) for request in requests]
