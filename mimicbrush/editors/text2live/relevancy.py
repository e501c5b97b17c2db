"""Relevancy of a text for the parts of a picture, from the attention of CLIP's image encoder (Chefer et al. 2021)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mimicbrush.editors.text2live.clip_guide import ClipGuide


def relevancy(guide: ClipGuide, pictures: Tensor, texts: Tensor, *, num_blocks: int) -> Tensor:
    """How much each patch matters to the similarity of picture and text: (B, rows, columns), without gradients.

    pictures: (B, 3, H, W) in [0, 1]; texts: embeddings (B, D); num_blocks: last blocks whose attention, weighted by its
    positive gradient, is accumulated.
    """
    first = guide.num_blocks - num_blocks
    with torch.no_grad():
        tokens = guide.run_blocks(guide.first_tokens(pictures), 0, first)
    attentions = []
    with torch.enable_grad():
        tokens = tokens.requires_grad_()
        for number in range(first, guide.num_blocks):
            tokens, attention = guide.run_block(tokens, number, with_attention=True)
            attentions.append(attention)
        cosines = F.cosine_similarity(guide.project(tokens[:, 0]), texts)
        gradients = torch.autograd.grad((guide.clip.logit_scale.exp() * cosines).sum(), attentions)
    total = torch.eye(tokens.shape[1], device=tokens.device).expand(len(pictures), -1, -1)
    for attention, gradient in zip(attentions, gradients, strict=True):
        weighted = (gradient * attention.detach()).float().clamp(min=0).mean(dim=1)
        total = total + weighted @ total
    rows, columns = (side // guide.patch_size for side in pictures.shape[-2:])
    return total[:, 0, 1:].reshape(-1, rows, columns)


def relevancy_maps(guide: ClipGuide, picture: Tensor, texts: Tensor, *, num_blocks: int) -> Tensor:
    """Maps (N, 1, S, S) of N texts (N, D), each scaled to reach from 0 to 1; a constant map becomes 0.

    picture: (1, 3, S, S) in [0, 1], at CLIP's own size.
    """
    rows = relevancy(guide, picture.expand(len(texts), -1, -1, -1), texts, num_blocks=num_blocks)
    return scale_maps(rows[:, None], picture.shape[-1])


def scale_maps(rows: Tensor, side: int) -> Tensor:
    """Resize (N, 1, rows, columns) to (N, 1, side, side) and scale each to [0, 1]."""
    maps = F.interpolate(rows, (side, side), mode="bilinear", align_corners=False)
    lowest, highest = maps.amin(dim=(2, 3), keepdim=True), maps.amax(dim=(2, 3), keepdim=True)
    # The released code divides by zero where a map is constant.
    spread = torch.where(highest > lowest, highest - lowest, 1)
    return (maps - lowest) / spread
