"""Text2LIVE for clips: a layer that moves with a clip, through the clip's layered atlas."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mimicbrush.atlas.layered_atlas import ClipShape
from mimicbrush.atlas.made_atlases import find_atlas
from mimicbrush.atlas.rendered_atlas import render_atlas
from mimicbrush.atlas.stored_atlas import AtlasFile, open_atlas
from mimicbrush.editors.text2live.clip_guide import ClipGuide
from mimicbrush.editors.text2live.clip_layer import clip_layer
from mimicbrush.editors.text2live.clip_optimisation import ClipOptimisation
from mimicbrush.editors.text2live.clip_settings import ClipLayerSettings
from mimicbrush.editors.text2live.editor import Text2LiveEditor
from mimicbrush.editors.text2live.layer_run_config import LayerRunConfig
from mimicbrush.errors import UserError
from mimicbrush.requests import LayerRequest, Precision


class Text2LiveClipEditor(Text2LiveEditor):
    """Optimises a layer on one of the two atlases of a clip, and maps it to all frames.

    atlas: folder of a trained atlas, a checkpoint of the published method, or an open atlas; it belongs to one clip,
    which is the source of every request. atlases: instead, a folder of atlases that an edit through atlases has made,
    in which that of each request's clip is found. settings.atlas_layer: the edited layer. Other arguments as in
    `Text2LiveEditor`. Raises UserError if weights are missing or do not fit.
    """

    filled_folders = ("atlases",)

    def __init__(
        self,
        atlas: str | Path | AtlasFile | None = None,
        clip: str | ClipGuide = "openai/clip-vit-base-patch32",
        *,
        atlases: str | Path | None = None,
        settings: ClipLayerSettings | None = None,
        device: str = "auto",
        precision: Precision = "auto",
    ) -> None:
        if (atlas is None) == (atlases is None):
            raise UserError("give either atlas, that of one clip, or atlases, a folder of them")
        self.atlases = atlases and Path(atlases)
        self.atlas = open_atlas(Path(atlas)) if isinstance(atlas, str | Path) else atlas
        super().__init__(clip, settings=settings or ClipLayerSettings(), device=device, precision=precision)

    def prepare(self, request: LayerRequest) -> ClipOptimisation:
        """Embed the texts of a request, render the atlas, and set up the optimisation.

        Raises UserError where the clip cannot be edited, or the atlas is not this clip's.
        """
        settings, source = self.settings, request.source
        if request.mask is not None:
            raise UserError("a clip is edited without mask; its atlas says what is foreground: leave the mask out")
        num_needed = 2 * settings.frame_distance + 1
        if len(source) < num_needed:
            raise UserError(
                f"source has {len(source)} frames, and a step needs {num_needed} at frame_distance"
                f" {settings.frame_distance}; give a longer clip, or lower frame_distance"
            )
        shape = ClipShape(len(source), *source.shape[-2:])
        atlas = self._atlas_of(request)
        network = atlas.network_for(shape).to(self.device)
        rendered = render_atlas(network, shape, resolution=settings.atlas_resolution, device=self.device)
        source = source.float().to(self.device)
        atlas.check_reconstruction(rendered.reconstruction, source)
        layer = clip_layer(rendered, source, settings)
        has_region = bool(request.region_prompts) or settings.cover_layer
        network, losses = self.network_and_losses(request, has_region=has_region)
        return ClipOptimisation(network, losses, layer, settings, seed=request.seed, device=self.device)

    def hints(self, request: LayerRequest) -> list[str]:
        """Advice where a region would be named in vain."""
        if not (self.settings.cover_layer and request.region_prompts):
            return []
        return [
            f"the region {', '.join(request.region_prompts)} is not looked for, because cover_layer, which the preset"
            " small sets, covers the whole edited layer; set cover_layer to false to use the region"
        ]

    def describe_run(self, request: LayerRequest) -> LayerRunConfig:
        return replace(super().describe_run(request), atlas=self._atlas_of(request).digest)

    def _atlas_of(self, request: LayerRequest) -> AtlasFile:
        return self.atlas or find_atlas(self.atlases, request.source)
