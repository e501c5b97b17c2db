"""Everything that determines an edit by layers, which its folder remembers."""

from __future__ import annotations

from dataclasses import dataclass

from mimicbrush.editors.text2live.settings import Text2LiveSettings
from mimicbrush.requests import LayerRequest
from mimicbrush.tensor_files import tensor_fingerprint


@dataclass(frozen=True, kw_only=True)
class LayerRunConfig:
    """Everything that determines an edit; tensors are given by their digests."""

    clip: str
    precision: str
    settings: Text2LiveSettings
    prompts: tuple[str, ...]
    screen_prompts: tuple[str, ...]
    source_prompts: tuple[str, ...]
    region_prompts: tuple[str, ...]
    negative_region_prompts: tuple[str, ...]
    source: str
    mask: str | None
    mask_use: str
    seed: int
    atlas: str | None = None
    """Digest of the atlas of an edited clip."""


def layer_run_config(
    request: LayerRequest, *, clip: str, precision: str, settings: Text2LiveSettings
) -> LayerRunConfig:
    """Describe the run of a request."""
    same = ("prompts", "screen_prompts", "source_prompts", "region_prompts", "negative_region_prompts", "mask_use")
    return LayerRunConfig(
        clip=clip,
        precision=precision,
        settings=settings,
        source=tensor_fingerprint(request.source),
        mask=None if request.mask is None else tensor_fingerprint(request.mask),
        seed=request.seed,
        **{name: getattr(request, name) for name in same},
    )
