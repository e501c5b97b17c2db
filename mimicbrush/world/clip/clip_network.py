"""The small CLIP: transformers' network, its preprocessing, and a tokenizer whose words are those of the world."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel, Split
from tokenizers.trainers import BpeTrainer
from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel, CLIPTokenizer

from mimicbrush.hub.known_words import WHOLE_WORDS
from mimicbrush.world.clip.config import ClipTrainingConfig

START, END = "<|startoftext|>", "<|endoftext|>"
END_OF_WORD = "</w>"
MAX_TOKENS = 77
"""Longest text, as in CLIP."""


def build_tokenizer(words: Iterable[str]) -> CLIPTokenizer:
    """Build a tokenizer in CLIP's format with a token for each of the words; other text falls into smaller tokens."""
    pieces = sorted({piece for word in words for piece in re.findall(r"[a-z]+|[^a-z\s]+", word)})
    pairs = Tokenizer(BPE(end_of_word_suffix=END_OF_WORD))
    pairs.pre_tokenizer = Split(" ", "removed")
    # The last letters are numbered first: the trainer would number them in an order that differs between calls.
    last = sorted({piece[-1] + END_OF_WORD for piece in pieces})
    # Without a limit, pairs are merged until every word is a single token.
    trainer = BpeTrainer(vocab_size=2**20, special_tokens=last, end_of_word_suffix=END_OF_WORD, show_progress=False)
    pairs.train_from_iterator(pieces, trainer)
    alphabet = sorted(ByteLevel.alphabet())
    merges = _merges(pairs)
    tokens = [*alphabet, *(letter + END_OF_WORD for letter in alphabet), *map("".join, merges), START, END]
    vocab = {token: number for number, token in enumerate(dict.fromkeys(tokens))}
    return CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=MAX_TOKENS, **{WHOLE_WORDS: pieces})


def _merges(tokenizer: Tokenizer) -> list[tuple[str, str]]:
    """The merges that a tokenizer has learned, in their order."""
    return [tuple(pair) for pair in json.loads(tokenizer.to_str())["model"]["merges"]]


def build_clip(config: ClipTrainingConfig, tokenizer: CLIPTokenizer) -> CLIPModel:
    """Draw a network with random weights."""
    shared = {"hidden_size": config.width, "intermediate_size": 4 * config.width}
    shared |= {"num_attention_heads": config.num_heads, "projection_dim": config.projection_dim}
    vision = shared | {"num_hidden_layers": config.num_vision_layers}
    vision |= {"image_size": config.image_size, "patch_size": config.patch_size}
    text = shared | {"num_hidden_layers": config.num_text_layers, "vocab_size": len(tokenizer)}
    text |= {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    text |= {"pad_token_id": tokenizer.eos_token_id, "max_position_embeddings": MAX_TOKENS}
    clip = CLIPModel(CLIPConfig(vision_config=vision, text_config=text, projection_dim=config.projection_dim))
    # On a CPU, the backward pass of torch's fused attention takes three times as long for so few tokens.
    clip.set_attn_implementation("eager")
    return clip


def build_processor(config: ClipTrainingConfig) -> CLIPImageProcessorPil:
    """CLIP's preprocessing at the network's size."""
    side = config.image_size
    return CLIPImageProcessorPil(size={"shortest_edge": side}, crop_size={"height": side, "width": side})
