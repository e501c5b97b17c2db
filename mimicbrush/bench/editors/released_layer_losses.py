"""The released loss computation of Text2LIVE written out, for comparison with ours; nothing else uses it.

Each view is augmented on its own, each loss and picture has its own batch through CLIP, distances are computed text by
text, and the text of the region is embedded in every step by a second CLIP.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mimicbrush.editors.text2live import losses
from mimicbrush.editors.text2live.applied_views import apply_views, resize_plain
from mimicbrush.editors.text2live.clip_guide import ClipGuide, attend
from mimicbrush.editors.text2live.drawn_views import View
from mimicbrush.editors.text2live.losses import Item, LayerLosses
from mimicbrush.editors.text2live.relevancy import scale_maps
from mimicbrush.editors.text2live.step_draws import LossDraws, structure_size_for


class ReleasedLosses(LayerLosses):
    """The same losses as `LayerLosses`, as the released code computes them.

    regions: the texts of the region.
    """

    def __init__(self, ours: LayerLosses, regions: Sequence[str]) -> None:
        super().__init__(ours.guide, ours.texts, ours.settings, num_bootstrap_steps=ours.num_bootstrap_steps)
        self.regions = regions

    def _similarities(self, items: Sequence[Item], draws: LossDraws) -> dict[str, Tensor]:
        composites, screens = [item.composite for item in items], [item.on_green for item in items]
        found = {"composition": self._distance(composites, draws.composition_views, draws.composition_texts)}
        if draws.direction_texts:
            found["direction"] = self._released_direction(items, composites, draws)
        texts = self.texts.screen[draws.screen_texts]
        found["screen"] = self._mean_distance(screens, draws.screen_views, texts)
        return found

    def _distance(self, pictures: Sequence[Tensor], views: Sequence[list[View]], numbers: list[int]) -> Tensor:
        return self._mean_distance(pictures, views, self.texts.composition[numbers])

    def _mean_distance(self, pictures: Sequence[Tensor], views: Sequence[list[View]], texts: Tensor) -> Tensor:
        distances = []
        for picture, of_picture in zip(pictures, views, strict=True):
            embedded = self._embed(picture, of_picture)
            distances += [losses.distance(embedded, text[None], self.settings.distance) for text in texts]
        return torch.stack(distances).mean()

    def _released_direction(self, items: Sequence[Item], composites: Sequence[Tensor], draws: LossDraws) -> Tensor:
        changes, numbers = [], draws.direction_texts
        directions = self.texts.composition[numbers] - self.texts.source[numbers]
        for item, edited, before, after in zip(items, composites, draws.source_views, draws.edited_views, strict=True):
            change = self._embed(edited, after) - self._embed(item.source, before)
            changes += [1 - F.cosine_similarity(change, direction[None]).mean() for direction in directions]
        return torch.stack(changes).mean()

    def _embed(self, picture: Tensor, views: Sequence[View]) -> Tensor:
        """Embed the views of one picture: each augmented alone, then all through every block of CLIP."""
        fill = self.settings.view_fill
        batch = torch.cat([apply_views([picture], [[view]], fill=fill) for view in views])
        return run_whole_clip(self.guide, batch)

    def self_similarity(self, picture: Tensor) -> Tensor:
        size = structure_size_for(*picture.shape[-2:], clip_size=self.guide.image_size)
        tokens = released_tokens(self.guide, resize_plain(picture, size))
        for layer in self.guide.clip.vision_model.encoder.layers[:-1]:
            tokens, _ = released_block(layer, tokens)
        norms = tokens.norm(dim=2, keepdim=True)
        return tokens @ tokens.transpose(1, 2) / (norms @ norms.transpose(1, 2)).clamp(min=1e-8)

    def _bootstrap(self, items: Sequence[Item]) -> Tensor:
        side, loss = self.guide.image_size, torch.zeros(())
        for item in items:
            opacity = resize_plain(item.opacity.expand(-1, 3, -1, -1), (side, side))
            picture = resize_plain(item.source, (side, side))
            texts = self.guide.embed_texts(self.regions)
            rows = released_relevancy(self.guide, picture, texts, num_blocks=self.settings.num_relevancy_blocks)
            loss = F.mse_loss(opacity, scale_maps(rows, side).mean(dim=0, keepdim=True).expand_as(opacity))
        return loss / len(items)


def released_tokens(guide: ClipGuide, pictures: Tensor) -> Tensor:
    """Tokens before the first block, whose patches are embedded by a convolution."""
    vision = guide.clip.vision_model
    pixels = (pictures - guide.mean) / guide.deviation
    patches = vision.embeddings.patch_embedding(pixels).flatten(2).transpose(1, 2)
    classes = vision.embeddings.class_embedding.expand(len(patches), 1, -1)
    return vision.pre_layrnorm(torch.cat([classes, patches], dim=1) + guide.positions(*pictures.shape[-2:]))


def released_block(layer: nn.Module, tokens: Tensor, *, with_attention: bool = False) -> tuple[Tensor, Tensor | None]:
    """Run a block by torch's fused attention, or so that its attention is known."""
    attention, normed = layer.self_attn, layer.layer_norm1(tokens)
    weights = None
    if with_attention:
        attended, weights = attend(attention, normed, normed, with_weights=True)
    else:
        queries, keys, values = (
            projection(normed).unflatten(-1, (attention.num_heads, -1)).transpose(1, 2)
            for projection in (attention.q_proj, attention.k_proj, attention.v_proj)
        )
        attended = F.scaled_dot_product_attention(queries, keys, values).transpose(1, 2).flatten(2)
        attended = attention.out_proj(attended)
    tokens = tokens + attended
    return tokens + layer.mlp(layer.layer_norm2(tokens)), weights


def run_whole_clip(guide: ClipGuide, pictures: Tensor) -> Tensor:
    """Embed pictures with every token of every block."""
    tokens = released_tokens(guide, pictures)
    for layer in guide.clip.vision_model.encoder.layers:
        tokens, _ = released_block(layer, tokens)
    return guide.project(tokens[:, 0])


def released_relevancy(guide: ClipGuide, picture: Tensor, texts: Tensor, *, num_blocks: int) -> Tensor:
    """Relevancy (N, 1, rows, columns) with the gradient of every block's attention."""
    tokens = released_tokens(guide, picture.expand(len(texts), -1, -1, -1)).requires_grad_()
    attentions = []
    for layer in guide.clip.vision_model.encoder.layers:
        tokens, attention = released_block(layer, tokens, with_attention=True)
        attentions.append(attention)
    cosines = F.cosine_similarity(guide.project(tokens[:, 0]), texts)
    gradients = torch.autograd.grad((guide.clip.logit_scale.exp() * cosines).sum(), attentions)
    total = torch.eye(tokens.shape[1]).expand(len(texts), -1, -1)
    for attention, gradient in list(zip(attentions, gradients, strict=True))[-num_blocks:]:
        total = total + (gradient * attention.detach()).clamp(min=0).mean(dim=1) @ total
    side = guide.image_size // guide.patch_size
    return total[:, 0, 1:].reshape(-1, 1, side, side)
