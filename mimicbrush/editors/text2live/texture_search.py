"""Choose the texture from which a layer starts: the one that CLIP finds nearest to the prompts."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mimicbrush.editors.text2live.applied_views import resize_plain
from mimicbrush.editors.text2live.clip_guide import ClipGuide
from mimicbrush.editors.text2live.starting_textures import (
    Textures,
    draw_textures,
    join_textures,
    second_shares,
    two_colours,
    vary_textures,
)

NUM_KEPT = 16
"""Best textures, of which variants are tried."""
NUM_ROUNDS = 3
"""Rounds of variants, half as many as the first textures in each."""
FIRST_CHANGE = 0.3
"""Size of the changes in the first round; those of later rounds are a half and a third as large."""
BATCH = 64


class TextureStart(NamedTuple):
    """The texture from which a layer starts."""

    colours: Tensor
    """(2, 3) in [0, 1]."""
    shares: Tensor
    """(1, 1, side, side), share of the second colour."""


@torch.no_grad()
def search_texture(
    guide: ClipGuide,
    texts: Tensor,
    source: Tensor,
    opacity: Tensor,
    *,
    num: int,
    side: int,
    generator: torch.Generator,
) -> TextureStart:
    """Try `num` random textures and variants of the best, drawn over the source; an evolutionary search.

    texts: embeddings (N, D) of the prompts; source: (1, 3, H, W); opacity: (1, 1, H, W). CLIP sees the whole
    picture once, not several views of it.
    """
    size = (guide.image_size, guide.image_size)
    source, opacity = resize_plain(source, size), resize_plain(opacity, size)
    text = F.normalize(texts, dim=-1).mean(dim=0)

    def similarity(textures: Textures) -> Tensor:
        found = []
        for numbers in torch.arange(len(textures.cut)).split(BATCH):
            batch = Textures(*(each.to(source.device) for each in textures.select(numbers)))
            shares = resize_plain(second_shares(batch, side), size)
            first, second = two_colours(batch)[..., None, None].unbind(dim=1)
            drawn = torch.lerp(first.expand(-1, -1, *size), second.expand(-1, -1, *size), shares)
            found.append(F.normalize(guide.embed(torch.lerp(source, drawn, opacity)), dim=-1) @ text)
        return torch.cat(found).cpu()

    textures = draw_textures(num, generator)
    values = similarity(textures)
    for number in range(NUM_ROUNDS):
        best = values.topk(min(NUM_KEPT, len(values))).indices
        parents = best[torch.arange(max(1, num // 2)) % len(best)]
        variants = vary_textures(textures.select(parents), FIRST_CHANGE / (number + 1), generator)
        textures = join_textures(textures.select(best), variants)
        values = torch.cat([values[best], similarity(variants)])
    chosen = textures.select(values.argmax()[None])
    return TextureStart(two_colours(chosen)[0], second_shares(chosen, side))
