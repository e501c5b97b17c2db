"""The frozen CLIP that guides the layer: embeddings of pictures of any size and of texts, tokens, and attention."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AutoTokenizer, CLIPModel, PreTrainedTokenizerBase
from transformers.activations import QuickGELUActivation
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from mimicbrush.editors.text2live.settings import PositionTable
from mimicbrush.errors import UserError, quoted
from mimicbrush.files import read_object
from mimicbrush.hub.known_words import require_known_words
from mimicbrush.hub.library_messages import quiet_libraries, reason_of
from mimicbrush.hub.local_networks import load_files
from mimicbrush.hub.locations import CONFIG, SHIPPED, require_local_network
from mimicbrush.hub.part_files import find_part
from mimicbrush.hub.weight_files import TRANSFORMERS

MODEL_TYPE = "clip"
"""Type of the network in its config."""
SMALL_FILES = ("*config.json", "tokenizer.json", "vocab.json", "merges.txt", "special_tokens_map.json")
"""Files of a tokenizer."""
QUICK = 1.702
"""Factor of the quick GELU, x sigmoid(1.702 x)."""


class ClipGuide(nn.Module):
    """A CLIP of transformers that embeds pictures of any size.

    Pictures are (B, 3, H, W) in [0, 1]. Gradients reach the pictures; the weights are frozen.
    """

    def __init__(
        self, clip: CLIPModel, tokenizer: PreTrainedTokenizerBase, *, position_table: PositionTable = "released"
    ) -> None:
        super().__init__()
        self.clip = clip.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.position_table = position_table
        vision = clip.config.vision_config
        self.image_size, self.patch_size = vision.image_size, vision.patch_size
        self.num_blocks = vision.num_hidden_layers
        self.positions = lru_cache(maxsize=64)(self._positions)
        for name, values in (("mean", OPENAI_CLIP_MEAN), ("deviation", OPENAI_CLIP_STD)):
            self.register_buffer(name, torch.tensor(values).reshape(1, 3, 1, 1), persistent=False)

    @property
    def dtype(self) -> torch.dtype:
        return self.clip.dtype

    @torch.no_grad()
    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """Embed N texts as (N, D) in float32, not normalised."""
        tokens = self.tokenizer(list(texts), padding=True, return_tensors="pt")
        return self.clip.get_text_features(**tokens.to(self.mean.device)).pooler_output.float()

    def embed(self, pictures: Tensor) -> Tensor:
        """Embed pictures as (B, D) in float32, not normalised."""
        tokens = self.run_blocks(self.first_tokens(pictures), 0, self.num_blocks - 1)
        # Only the class token of the last block is used.
        return self.project(self.run_block(tokens, self.num_blocks - 1, class_token_only=True)[0][:, 0])

    def tokens_before_last_block(self, pictures: Tensor) -> Tensor:
        """Tokens (B, N, C) after the last block but one, the class token first."""
        return self.run_blocks(self.first_tokens(pictures), 0, self.num_blocks - 1)

    def project(self, class_tokens: Tensor) -> Tensor:
        """Project the last class tokens (B, C) to embeddings (B, D) in float32."""
        pooled = self.clip.vision_model.post_layernorm(class_tokens)
        return self.clip.visual_projection(pooled).float()

    def first_tokens(self, pictures: Tensor) -> Tensor:
        """Tokens (B, N, C) before the first block; what a whole number of patches does not cover is cut off."""
        vision = self.clip.vision_model
        pixels = ((pictures - self.mean) / self.deviation).to(self.dtype)
        patches = embed_patches(vision.embeddings.patch_embedding, pixels)
        classes = vision.embeddings.class_embedding.to(patches).expand(len(patches), 1, -1)
        tokens = torch.cat([classes, patches], dim=1) + self.positions(*pictures.shape[-2:]).to(patches)
        return vision.pre_layrnorm(tokens)

    def run_blocks(self, tokens: Tensor, first: int, last: int) -> Tensor:
        """Run the blocks from `first` to before `last`."""
        for number in range(first, last):
            tokens, _ = self.run_block(tokens, number)
        return tokens

    def run_block(
        self, tokens: Tensor, number: int, *, class_token_only: bool = False, with_attention: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """Run one block; also returns its attention (B, heads, queries, N) after the softmax, or None.

        class_token_only: compute only the class token's output.
        """
        layer = self.clip.vision_model.encoder.layers[number]
        normed = layer.layer_norm1(tokens)
        queries, tokens = (normed[:, :1], tokens[:, :1]) if class_token_only else (normed, tokens)
        attended, attention = attend(layer.self_attn, queries, normed, with_weights=with_attention)
        tokens = tokens + attended
        return tokens + run_mlp(layer.mlp, layer.layer_norm2(tokens)), attention

    def _positions(self, height: int, width: int) -> Tensor:
        """Position table (1, N, C) for pictures of this size."""
        table = self.clip.vision_model.embeddings.position_embedding.weight.float()
        grid, rows, columns = self.image_size // self.patch_size, height // self.patch_size, width // self.patch_size
        if rows * columns == grid**2 and height == width:
            return table[None]
        square = table[1:].T.reshape(1, -1, grid, grid)
        # The released code resizes by factors with 0.1 added, which also moves the places that are sampled.
        factors = [(count + 0.1) / grid for count in (rows, columns)]
        if self.position_table == "released":
            factors.reverse()
        resized = F.interpolate(square, scale_factor=factors, mode="bicubic", align_corners=False)
        return torch.cat([table[None, :1], resized.flatten(2).transpose(1, 2)], dim=1)


def attend(
    attention: nn.Module, queries: Tensor, tokens: Tensor, *, with_weights: bool = False
) -> tuple[Tensor, Tensor | None]:
    """Run the attention of a block of transformers' CLIP.

    with_weights: also return its weights (B, heads, Q, N), of which relevancy needs gradients; slower.
    """
    queries, keys, values = (
        projection(inputs).unflatten(-1, (attention.num_heads, -1)).transpose(1, 2)
        for projection, inputs in (
            (attention.q_proj, queries),
            (attention.k_proj, tokens),
            (attention.v_proj, tokens),
        )
    )
    weights = None
    if with_weights:
        weights = (queries * attention.scale @ keys.transpose(-1, -2)).softmax(dim=-1)
        attended = weights @ values
    else:
        attended = F.scaled_dot_product_attention(queries, keys, values, scale=attention.scale)
    return attention.out_proj(attended.transpose(1, 2).flatten(2)), weights


def embed_patches(convolution: nn.Conv2d, pixels: Tensor) -> Tensor:
    """Embed the patches (B, N, C) of pixels (B, 3, H, W): a convolution whose patches do not overlap.

    Written as a matrix product because on a CPU the backward pass of such a convolution takes a tenth of CLIP's time.
    """
    side = convolution.kernel_size[0]
    rows, columns = (size // side for size in pixels.shape[-2:])
    cut = pixels[..., : rows * side, : columns * side].unflatten(-1, (columns, side)).unflatten(-3, (rows, side))
    return F.linear(cut.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2), convolution.weight.flatten(1))


def run_mlp(mlp: nn.Module, tokens: Tensor) -> Tensor:
    """Run the two layers of a block; the quick GELU between them is written as a scaled SiLU, one fused kernel.

    The result is divided by the factor after the second layer, where it has a quarter of the numbers.
    """
    if not isinstance(mlp.activation_fn, QuickGELUActivation):
        return mlp(tokens)
    first, second = mlp.fc1, mlp.fc2
    hidden = torch.addmm(first.bias, tokens.flatten(0, 1), first.weight.T, beta=QUICK, alpha=QUICK)
    return torch.add(second.bias, F.linear(F.silu(hidden), second.weight), alpha=1 / QUICK).view_as(tokens)


def load_clip_guide(
    name: str, *, device: torch.device, dtype: torch.dtype, position_table: PositionTable = "released"
) -> ClipGuide:
    """Load a CLIP in transformers' layout: a folder, a hub repository, or weights shipped with this package.

    Raises UserError if it is missing, damaged, or lacks an encoder or a projection.
    """
    require_local_network(name, MODEL_TYPE)
    try:
        found = find_part(name, TRANSFORMERS, class_name="CLIPModel", extra=SMALL_FILES)
    except UserError as error:
        raise UserError(f"{error}; or give a folder of a CLIP on this machine, or {SHIPPED}clip") from None
    kind = read_object(found.folder / CONFIG).get("model_type")
    if kind != MODEL_TYPE:
        raise UserError(
            f"{name} holds a network of type {kind}, expected {MODEL_TYPE}; give a CLIP, both encoders of it"
        )
    try:
        clip = load_files(found, CLIPModel, dtype=dtype)
    except UserError as error:
        raise UserError(f"{error}; copy the whole folder again, or give another CLIP") from None
    try:
        with quiet_libraries():
            tokenizer = AutoTokenizer.from_pretrained(found.folder, local_files_only=True)
    except Exception as error:  # the library raises many kinds for damaged files
        raise UserError(f"{name}: its tokenizer cannot be read ({reason_of(error)}); copy the whole folder") from None
    return ClipGuide(clip, tokenizer, position_table=position_table).to(device)


def check_texts(guide: ClipGuide, texts: Sequence[str]) -> None:
    """Raise UserError for a text beyond the token limit, or with words that the CLIP has never seen."""
    limit = guide.clip.config.text_config.max_position_embeddings
    for text in texts:
        num_tokens = len(guide.tokenizer(text, verbose=False).input_ids)
        if num_tokens > limit:
            raise UserError(f"{quoted(text)} has {num_tokens} tokens, and this CLIP reads at most {limit}; shorten it")
    require_known_words(guide.tokenizer, texts, reader="this CLIP")
