"""A clip edited through its layered atlas: an editor for pictures edits once, and all frames show that edit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from mimicbrush.atlas.config import AtlasTrainingConfig
from mimicbrush.atlas.layered_atlas import ClipShape, Layer
from mimicbrush.atlas.made_atlases import find_or_make_atlas
from mimicbrush.atlas.rendered_atlas import RenderedAtlas, mark_places, native_resolution, render_atlas
from mimicbrush.atlas.stored_atlas import AtlasFile, open_atlas
from mimicbrush.device import choose_device
from mimicbrush.editors.through_atlas.layer_mapping import (
    SHOWN,
    EditedOnce,
    from_atlas,
    from_frame,
    layer_opacity,
)
from mimicbrush.editors.through_atlas.settings import ThroughAtlasSettings
from mimicbrush.errors import UserError
from mimicbrush.pictures.conversion import draw_over
from mimicbrush.pictures.geometry import resize
from mimicbrush.pictures.mask_geometry import mask_box
from mimicbrush.requests import (
    Edited,
    Editor,
    MaskedRequest,
    OnProgress,
    ReferenceRequest,
    check_answers,
)

PasteEdit = Callable[[Tensor], Tensor]
"""Makes a layer (T, 4, H, W) of all frames from the edited picture (1, 3, h, w)."""
ATLAS_MARGIN = 0.5
"""Border around the mask on an atlas that its editor sees as well, as a share of the mask's sides."""


class Prepared(NamedTuple):
    """A request with everything that its atlas says about it."""

    request: ReferenceRequest
    rendered: RenderedAtlas
    layer: Layer
    frame: int
    """Index of the frame that is edited, or from which the mask of an atlas is taken first."""

    @property
    def opacity(self) -> Tensor:
        return layer_opacity(self.rendered, self.layer)


class ThroughAtlasEditor(Editor):
    """Imitates a reference once, in one frame of a clip or on its atlas, and maps the result to all frames.

    A frame whose mask is empty is edited wherever the edit leads; in a frame with a mask, nothing outside it changes.
    So one painted frame is enough once the atlas is trained, and masks for all frames limit the edit.

    inpainter: an editor that answers a `ReferenceRequest` of a picture, or a `MaskedRequest`; in YAML by its class_path
    and init_args. atlas: folder of a trained atlas, or a checkpoint of the published method, for one clip; or instead
    atlases: a folder in which the atlas of each request's clip is made once, with the request's masks, and found again;
    to make it, they have to mark the object in all frames that show it. training: options of such atlases. Raises
    UserError unless exactly one of atlas and atlases is given.
    """

    request_class = ReferenceRequest
    filled_folders = ("atlases",)

    def __init__(
        self,
        inpainter: Editor,
        atlas: str | Path | AtlasFile | None = None,
        *,
        atlases: str | Path | None = None,
        training: AtlasTrainingConfig | None = None,
        settings: ThroughAtlasSettings | None = None,
        device: str = "auto",
    ) -> None:
        if (atlas is None) == (atlases is None):
            raise UserError("give either atlas, that of one clip, or atlases, a folder for those of all clips")
        if not issubclass(ReferenceRequest, inpainter.request_class):
            raise UserError(
                f"inpainter {type(inpainter).__name__} answers a {inpainter.request_class.__name__}, expected an editor"
                " that repaints the masked part of a picture"
            )
        self.inpainter, self.settings = inpainter, settings or ThroughAtlasSettings()
        self.device = choose_device(device)
        self.atlases, self.training = atlases and Path(atlases), training or AtlasTrainingConfig()
        self.atlas = open_atlas(Path(atlas)) if isinstance(atlas, str | Path) else atlas

    @property
    def canvas_size(self) -> int:
        """Pixels a side of the inpainter's canvas."""
        return getattr(self.inpainter, "canvas_size", 512)

    def edit(self, request: ReferenceRequest, *, on_progress: OnProgress | None = None) -> Edited:
        """The edited clip, with the layer `rgba` that was drawn over it, and `mask`, its opacity."""
        prepared = self._prepare(request)
        ask = self._frame_request if self.settings.edited_picture == "frame" else self._atlas_request
        inner, paste = ask(prepared)
        report = on_progress and (
            lambda share, preview: on_progress(share, lambda: self._finish(prepared, paste(preview().frames)))
        )
        (edited,) = check_answers(self.inpainter, [self.inpainter.edit(inner, on_progress=report)], [inner])
        return self._finish(prepared, paste(edited.frames))

    def _prepare(self, request: ReferenceRequest) -> Prepared:
        source = request.source
        if len(source) < 2:
            raise UserError("source has 1 frame, expected the clip of the atlas; edit a still without an atlas")
        shape = ClipShape(len(source), *source.shape[2:])
        atlas = self.atlas or find_or_make_atlas(self.atlases, source, request.mask, self.training)
        network = atlas.network_for(shape).to(self.device)
        rendered = render_atlas(network, shape, resolution=native_resolution(network, shape), device=self.device)
        rendered = rendered.to("cpu")
        atlas.check_reconstruction(rendered.reconstruction, source.float().cpu())
        frame = self._choose_frame(request)
        layer = self.settings.edited_layer
        if layer == "auto":
            masked = request.mask.cpu() > 0.5
            layer = "foreground" if rendered.opacity[masked].mean() >= SHOWN else "background"
        return Prepared(request, rendered, layer, frame)

    def _choose_frame(self, request: ReferenceRequest) -> int:
        number, areas = self.settings.edited_frame, (request.mask > 0.5).flatten(1).sum(dim=1)
        if number is None:
            return int(areas.argmax())
        if number > len(areas):
            raise UserError(f"edited_frame is {number}, and the clip has {len(areas)} frames; choose one of them")
        if not areas[number - 1]:
            raise UserError(f"edited_frame is {number}, where the mask is empty; mask that frame, or leave it out")
        return number - 1

    def _frame_request(self, prepared: Prepared) -> tuple[MaskedRequest, PasteEdit]:
        """Ask for the frame's edit; the function makes a layer of all frames of the answer."""
        request, frame, atlas = prepared.request, prepared.frame, prepared.rendered.layers[prepared.layer]
        frame_mask = (request.mask[frame : frame + 1].cpu() > 0.5).float()

        def paste(edited: Tensor) -> Tensor:
            picture = resize(edited.float().cpu(), *frame_mask.shape[2:])
            return from_frame(
                EditedOnce(picture, frame_mask),
                frame,
                atlas,
                prepared.opacity,
                within_layer=self.settings.within_layer,
            )

        return self._ask(request, request.source[frame : frame + 1], request.mask[frame : frame + 1]), paste

    def _atlas_request(self, prepared: Prepared) -> tuple[MaskedRequest, PasteEdit]:
        """Ask for the atlas's edit around the mask; the function makes a layer of all frames of the answer."""
        request, atlas = prepared.request, prepared.rendered.layers[prepared.layer]
        own = (request.mask.cpu() > 0.5) & (prepared.opacity >= SHOWN)
        if not own.any():
            raise UserError(
                f"the mask covers nothing of the {prepared.layer}; mask it, or choose the other edited_layer"
            )
        mask = mark_places(atlas.points[own[:, 0]], atlas.size)
        rows, columns = (
            slice(max(0, side.start - border), min(length, side.stop + border))
            for side, length in zip(mask_box(mask[0, 0] > 0.5), atlas.size, strict=True)
            for border in [round(ATLAS_MARGIN * (side.stop - side.start)) + 1]
        )
        shown = mask[..., rows, columns]

        def paste(edited: Tensor) -> Tensor:
            picture = atlas.picture.clone()
            picture[..., rows, columns] = resize(edited.float().cpu(), *shown.shape[2:])
            return from_atlas(
                EditedOnce(picture, mask), atlas, prepared.opacity, within_layer=self.settings.within_layer
            )

        return self._ask(request, atlas.picture[..., rows, columns].clamp(0, 1), shown), paste

    def _ask(self, request: ReferenceRequest, source: Tensor, mask: Tensor) -> MaskedRequest:
        given = {"source": source.to(request.source), "mask": mask.to(request.mask), "seed": request.seed}
        if issubclass(MaskedRequest, self.inpainter.request_class):
            return MaskedRequest(**given, id=request.id)
        return ReferenceRequest(**given, id=request.id, reference=request.reference, keep_shape=request.keep_shape)

    def _finish(self, prepared: Prepared, layer: Tensor) -> Edited:
        """Draw a layer over the clip, within the masks of the frames that have one."""
        source = prepared.request.source
        mask = (prepared.request.mask > 0.5).to(source)
        is_free = ~mask.flatten(1).any(dim=1)
        mask[is_free] = 1
        layer = layer.to(source).clamp(0, 1)
        layer[:, 3:] *= mask
        # Where the layer is empty, the source keeps its bits.
        frames = torch.where(layer[:, 3:] > 0, draw_over(layer, source), source)
        return Edited(frames, {"rgba": layer, "mask": layer[:, 3:]})
