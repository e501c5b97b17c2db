"""A tiny random CLIP in transformers' layout."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel, CLIPTokenizer

from mimicbrush.editors.text2live.clip_guide import ClipGuide, load_clip_guide
from mimicbrush.requests import LayerRequest

WORDS = ("a", "golden", "red", "ball", "photo", "of")
SIDE = 32


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory) -> Path:
    """A CLIP for pictures of 32 pixels, of 16 channels and two blocks; its tokenizer knows letters."""
    folder = tmp_path_factory.mktemp("clip")
    letters = [chr(code) for code in range(ord("!"), ord("~") + 1)]
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    end = len(tokens) - 1
    tokenizer = CLIPTokenizer({token: number for number, token in enumerate(tokens)}, [], model_max_length=77)
    shared = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    vision = shared | {"image_size": SIDE, "patch_size": 8, "projection_dim": 8}
    text = shared | {"vocab_size": len(tokens), "bos_token_id": end - 1, "eos_token_id": end, "projection_dim": 8}
    torch.manual_seed(0)
    clip = CLIPModel(CLIPConfig(vision_config=vision, text_config=text, projection_dim=8))
    for part in (clip, tokenizer, CLIPImageProcessorPil(size={"shortest_edge": SIDE})):
        part.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def guide(clip_folder) -> ClipGuide:
    return load_clip_guide(str(clip_folder), device=torch.device("cpu"), dtype=torch.float32)


@pytest.fixture
def layer_request() -> LayerRequest:
    """A picture of 40 x 48 pixels, a sentence, and a mask over its middle."""
    mask = torch.zeros(1, 1, 40, 48)
    mask[..., 10:30, 12:36] = 1
    source = torch.rand(1, 3, 40, 48, generator=torch.Generator().manual_seed(0))
    return LayerRequest(source=source, prompts=("a golden ball",), source_prompts=("a ball",), mask=mask, seed=3)
