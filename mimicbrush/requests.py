"""The vocabulary shared by editors and everything that drives them: requests, results and the `Editor` itself."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from mimicbrush.errors import UserError, quoted

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

Precision = Literal["auto", "float32", "bfloat16", "float16"]

MaskUse = Literal["guide", "limit"]
"""Purpose of a layer's mask. guide: the opacity starts from it and may leave it; limit: nothing is drawn outside it."""

ROUNDING = 1e-3
"""How far pixels may lie outside [0, 1], as resizing and half precision leave them."""


@dataclass(frozen=True, kw_only=True, eq=False)
class EditRequest:
    """A picture or clip to edit; one subclass for each kind of guidance.

    source: (T, 3, H, W) in [0, 1], a still has T = 1; seed: 0 to 2^63 - 1; id: of the benchmark sample, if it is one.
    Every request checks its own fields and raises UserError, which names the field.
    """

    source: Tensor
    seed: int = 0
    id: str | None = None

    def __post_init__(self) -> None:
        _check_pixels("source", self.source, ("T", 3, "H", "W"))
        if min(self.source.shape[2:]) < 2:
            raise UserError(f"source is {tuple(self.source.shape)}, expected at least 2 pixels a side")
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or not 0 <= self.seed < 2**63:
            raise UserError(f"seed is {self.seed!r}, expected a whole number from 0 to 2^63 - 1")
        if self.id is not None and not (isinstance(self.id, str) and self.id):
            raise UserError(f"id is {self.id!r}, expected the name of a sample, or None")


@dataclass(frozen=True, kw_only=True, eq=False)
class MaskedRequest(EditRequest):
    """Edit the masked region.

    mask: (T, 1, H, W) in [0, 1], 1 where the edit happens; at least one of its pixels is above 0.5.
    """

    mask: Tensor

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_mask(self.mask, self.source)


@dataclass(frozen=True, kw_only=True, eq=False)
class ReferenceRequest(MaskedRequest):
    """Repaint the masked region so that it imitates the matching part of a reference picture.

    reference: (3, h, w) in [0, 1], any size; keep_shape: follow the source's shape map (texture transfer).
    """

    reference: Tensor
    keep_shape: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_pixels("reference", self.reference, (3, "h", "w"))


@dataclass(frozen=True, kw_only=True, eq=False)
class TextRequest(MaskedRequest):
    """Repaint the masked region from a text prompt, which may be empty."""

    prompt: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_text("prompt", self.prompt)


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerRequest(EditRequest):
    """Draw a layer over the source from text prompts (Text2LIVE, arXiv 2204.02491).

    prompts: the edited picture; screen_prompts: the layer alone, on a green screen; source_prompts: the picture before
    the edit; region_prompts: the thing to edit; negative_region_prompts: things that the layer should not cover. Each
    is one prompt or several, and all but `prompts` may be left out; negative ones need region prompts or a mask.
    mask: (T, 1, H, W), 1 where the layer belongs, or None; mask_use: what it is for.
    """

    prompts: tuple[str, ...]
    screen_prompts: tuple[str, ...] = ()
    source_prompts: tuple[str, ...] = ()
    region_prompts: tuple[str, ...] = ()
    mask: Tensor | None = None
    mask_use: MaskUse = "guide"
    negative_region_prompts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("prompts", "screen_prompts", "source_prompts", "region_prompts", "negative_region_prompts"):
            _check_prompts(name, getattr(self, name))
        if not self.prompts:
            raise UserError("prompts is empty; give at least one prompt that describes the edited picture")
        if self.negative_region_prompts and not self.region_prompts and self.mask is None:
            raise UserError("negative_region_prompts has no effect without region_prompts or a mask; give one of them")
        if self.mask is not None:
            _check_mask(self.mask, self.source)
        if self.mask_use not in get_args(MaskUse):
            raise UserError(f"mask_use is {self.mask_use!r}, expected one of {', '.join(get_args(MaskUse))}")


@dataclass(frozen=True, kw_only=True, eq=False)
class MotionRequest(EditRequest):
    """Move objects in a still along an optical-flow field (Motion Guidance, arXiv 2401.18085).

    flow: (1, 2, H, W) in pixels on the source's grid, x to the right, then y down; mask: (1, 1, H, W), 1 where pixels
    may change, or None, in which case the editor proposes one; prompt: describes the picture, and may be empty.
    """

    flow: Tensor
    mask: Tensor | None = None
    prompt: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.source) != 1:
            raise UserError(f"source has {len(self.source)} frames, expected 1; motion is given to a still picture")
        _check_tensor("flow", self.flow, (1, 2, *self.source.shape[2:]), ", in pixels on the source's grid")
        if self.flow.dtype != self.source.dtype or self.flow.dtype.itemsize < 4:  # shorter numbers round pixels
            found = f"flow is of {self.flow.dtype} and source of {self.source.dtype}"
            raise UserError(f"{found}, expected torch.float32 for both; convert them with .float()")
        if not self.flow.any():
            raise UserError("flow is zero everywhere, so nothing would move; give a motion")
        if self.mask is not None:
            _check_mask(self.mask, self.source)
        _check_text("prompt", self.prompt)


@dataclass(frozen=True, kw_only=True, eq=False)
class VideoRequest(EditRequest):
    """Replace the object in a clip by the object of a target picture (GenVideo, arXiv 2404.12541).

    source: (T, 3, H, W) with T at least 2; source_prompt, target_prompt: describe the clip before and after the edit;
    target_image: (3, h, w) in [0, 1], any size; target_mask: (1, h, w), 1 on its object, such as its alpha, or None, in
    which case the editor finds the object; mask: (T, 1, H, W), 1 where the edit happens, or None, in which case the
    editor proposes one; fps: frames a second.
    """

    source_prompt: str
    target_prompt: str
    target_image: Tensor
    fps: float
    mask: Tensor | None = None
    target_mask: Tensor | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.source) < 2:
            raise UserError("source has 1 frame, expected a clip of at least 2; edit a still with another kind of edit")
        _check_text("source_prompt", self.source_prompt)
        _check_text("target_prompt", self.target_prompt)
        _check_pixels("target_image", self.target_image, (3, "h", "w"))
        if not 0 < self.fps < float("inf"):
            raise UserError(f"fps is {self.fps}, expected a positive number of frames a second")
        if self.mask is not None:
            _check_mask(self.mask, self.source)
        if self.target_mask is not None:
            _check_pixels("target_mask", self.target_mask, (1, *self.target_image.shape[1:]), " as target_image needs")
            if not (self.target_mask > 0.5).any():
                raise UserError("target_mask is empty, so target_image shows no object; mark the object with 1 (white)")


class Edited(NamedTuple):
    """An editor's answer to a request."""

    frames: Tensor
    """(T, 3, H, W) in [0, 1], of the source's size."""
    layers: Mapping[str, Tensor] = {}
    """Further pictures by name, (T, C, H, W) each: {"rgba": (T, 4, H, W)} for a layer drawn over the source."""


OnProgress = Callable[[float, Callable[[], Edited]], None]
"""Receives the finished share of the work, above 0 and at most 1, and `preview`, which computes the result as predicted
so far only when it is called. `preview` shows the request being edited, or the first of those edited together; its
frames may be smaller than the source. An exception raised by the callback stops the edit and reaches the caller."""


class Editor(ABC):
    """Answers requests with edited pictures.

    A new editor names its `request_class` and defines `edit`.
    """

    request_class: type[EditRequest] = ReferenceRequest
    """The kind of request that it answers. Subclasses of that kind are answered as well: an editor of `MaskedRequest`
    also answers a `ReferenceRequest`, whose reference it ignores."""
    filled_folders: tuple[str, ...] = ()
    """Arguments that name folders which edits fill, each with its own; what is added there changes no other edit."""

    @abstractmethod
    def edit(self, request: EditRequest, *, on_progress: OnProgress | None = None) -> Edited:
        """Edit one picture or clip; raises UserError where the request cannot be answered."""

    def edit_batch(self, requests: Sequence[EditRequest], *, on_progress: OnProgress | None = None) -> list[Edited]:
        """One result per request, in order; each equals the result of `edit` alone."""
        return [
            self.edit(request, on_progress=on_progress and share_of(on_progress, number, len(requests)))
            for number, request in enumerate(requests)
        ]


class ResumableEditor(Editor):
    """An editor whose edits take long: it keeps the state of one in a folder, from which an equal call resumes."""

    @abstractmethod
    def edit(
        self, request: EditRequest, *, on_progress: OnProgress | None = None, run_folder: Path | None = None
    ) -> Edited:
        """Edit like `Editor.edit`. The state is written to run_folder, also where on_progress raises or a signal stops
        the process; the caller deletes the folder. Raises UserError if the folder belongs to another edit."""


def check_answers(editor: Editor, answers: object, requests: Sequence[EditRequest]) -> list[Edited]:
    """Raise UserError, which names the editor, where its answers cannot be edits of the requests."""
    name = type(editor).__qualname__
    if not isinstance(answers, list) or len(answers) != len(requests):
        raise UserError(f"{name} answered {len(requests)} requests with {quoted(answers)}, expected a list of edits")
    for answer, request in zip(answers, requests, strict=True):
        frames, expected = answer.frames if isinstance(answer, Edited) else answer, tuple(request.source.shape)
        is_pixels = hasattr(frames, "is_floating_point") and frames.is_floating_point()
        if not isinstance(answer, Edited) or not is_pixels or tuple(frames.shape) != expected:
            found = f"{frames.dtype} {tuple(frames.shape)}" if hasattr(frames, "dtype") else type(frames).__name__
            found = f"Edited of {found}" if isinstance(answer, Edited) else found
            raise UserError(
                f"{name} answered with {found}, expected an Edited whose frames are a floating-point tensor {expected}"
                " in [0, 1]"
            )
    return answers


def share_of(on_progress: OnProgress, number: int, total: int) -> OnProgress:
    """A callback for one of `total` requests that are answered one after the other."""
    return lambda fraction, preview: on_progress((number + fraction) / total, preview)


def _check_tensor(name: str, tensor: Tensor, expected: tuple[int | str, ...], hint: str = "") -> None:
    """Raise UserError where this is no floating-point tensor of the expected shape, in which letters match any size."""
    shape = f"({', '.join(map(str, expected))}){hint}"
    if not hasattr(tensor, "is_floating_point"):
        raise UserError(f"{name} is a {type(tensor).__name__}, expected a tensor {shape}")
    found = tuple(tensor.shape)
    fits = len(found) == len(expected) and all(
        isinstance(wanted, str) or wanted == size for size, wanted in zip(found, expected, strict=True)
    )
    if not fits:
        raise UserError(f"{name} is {found}, expected {shape}")
    if not tensor.numel():
        raise UserError(f"{name} is {found}, which holds nothing; expected at least one pixel")
    if not tensor.is_floating_point():
        advice = "give pixels" if name == "flow" else "divide levels of 8 bits by 255"
        raise UserError(f"{name} is of {tensor.dtype}, expected floating point; {advice}")
    if not all(map(math.isfinite, map(float, tensor.aminmax()))):
        raise UserError(f"{name} holds NaN or infinity; pass finite values")


def _check_pixels(name: str, tensor: Tensor, expected: tuple[int | str, ...], hint: str = "") -> None:
    _check_tensor(name, tensor, expected, hint)
    low, high = map(float, tensor.aminmax())
    if low < -ROUNDING or high > 1 + ROUNDING:
        raise UserError(f"{name} has values from {low:g} to {high:g}, expected [0, 1]; divide levels of 8 bits by 255")


def _check_mask(mask: Tensor, source: Tensor) -> None:
    expected = (len(source), 1, *source.shape[2:])
    _check_pixels("mask", mask, expected, " as the source needs; export both at one size")
    if not (mask > 0.5).any():
        raise UserError("the mask is empty; paint the region to edit with 1 (white)")


def _check_text(name: str, text: str) -> None:
    if not isinstance(text, str):
        raise UserError(f"{name} is {quoted(text)}, expected a string")


def _check_prompts(name: str, prompts: tuple[str, ...]) -> None:
    if not isinstance(prompts, tuple):
        raise UserError(f"{name} is {quoted(prompts)}, expected a tuple of strings")
    for prompt in prompts:
        _check_text(name, prompt)
        if not prompt.strip():
            raise UserError(f"{name} holds an empty prompt; leave it out or write one")
