from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import cosine_similarity
from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

from mimicbrush.evaluation.metrics.masked_crops import subject_on_white
from mimicbrush.evaluation.metrics.similarity import plain_prompt
from tests.evaluation.metrics.edits import make_edit, value

IMAGE_METRICS = {"dino": "dino", "dinov2": "dinov2", "clip_image": "clip"}


def square(picture: np.ndarray, mask: np.ndarray) -> Image.Image:
    """White ground, the mask's box, a white square around it: by Pillow, pixel by pixel as one would say it."""
    alone = Image.composite(
        Image.fromarray(picture), Image.new("RGB", mask.shape[::-1], "white"), Image.fromarray(mask)
    )
    crop = alone.crop(Image.fromarray(mask).getbbox())
    side = max(crop.size)
    canvas = Image.new("RGB", (side, side), "white")
    canvas.paste(crop, ((side - crop.width) // 2, (side - crop.height) // 2))
    return canvas


def embed_directly(folder: str, picture: Image.Image) -> torch.Tensor:
    """One picture through transformers, as its documentation says."""
    network = AutoModel.from_pretrained(folder).eval()
    inputs = AutoImageProcessor.from_pretrained(folder)(images=picture, return_tensors="pt")
    with torch.no_grad():
        if network.config.model_type == "clip":
            return network.get_image_features(**inputs).pooler_output[0]
        return network(**inputs).last_hidden_state[0, 0]


def cosine(first: torch.Tensor, second: torch.Tensor) -> float:
    return 100 * cosine_similarity(first, second, dim=0).item()


def test_subject_stands_alone_in_the_middle_of_a_white_square():
    picture = np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3)
    mask = np.zeros((6, 8), bool)
    mask[1:3, 2:7] = True
    mask[1, 2] = False
    found = subject_on_white(picture, mask)
    assert found.shape == (5, 5, 3)
    assert (found[0] == 255).all() and (found[3:] == 255).all() and (found[1, 0] == 255).all()
    assert (found[2] == picture[2, 2:7]).all() and (found[1, 1:] == picture[1, 3:7]).all()


@pytest.mark.parametrize("metric", IMAGE_METRICS)
def test_image_similarity_equals_a_direct_call(metric, models, networks):
    mask = np.zeros((20, 20), bool)
    mask[3:17, 5:9] = True
    edit = make_edit(reference_mask=mask)
    folder = getattr(networks, IMAGE_METRICS[metric])
    edited, reference = square(edit.edited, edit.mask), square(edit.reference, mask)
    expected = cosine(embed_directly(folder, edited), embed_directly(folder, reference))
    assert value(edit, metric, models) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("metric", IMAGE_METRICS)
def test_only_masked_pixels_count(metric, models):
    mask = np.zeros((20, 20), bool)
    mask[3:17, 5:9] = True
    edit = make_edit(reference_mask=mask)
    other = edit._replace(
        edited=np.where(edit.mask[..., None], edit.edited, np.uint8(7)),
        reference=np.where(mask[..., None], edit.reference, np.uint8(9)),
    )
    assert value(other, metric, models) == value(edit, metric, models)


@pytest.mark.parametrize("metric", IMAGE_METRICS)
def test_reference_pasted_whole_is_perfectly_similar(metric, models):
    edit = make_edit()
    mask = np.zeros((48, 60), bool)
    mask[10:30, 5:25] = True
    edited = edit.source.copy()
    edited[10:30, 5:25] = edit.reference
    assert value(edit._replace(mask=mask, edited=edited), metric, models) == pytest.approx(100)
    assert value(edit, metric, models) < 99.9


def test_text_similarity_equals_a_direct_call(models, networks):
    edit = make_edit(prompt="a boy in a #red scarf#")
    tokens = AutoTokenizer.from_pretrained(networks.clip)(["a boy in a red scarf"], return_tensors="pt")
    with torch.no_grad():
        text = AutoModel.from_pretrained(networks.clip).eval().get_text_features(**tokens).pooler_output[0]
    expected = cosine(embed_directly(networks.clip, Image.fromarray(edit.edited)), text)
    assert value(edit, "clip_text", models) == pytest.approx(expected, abs=1e-4)
    assert value(edit._replace(prompt="a dog"), "clip_text", models) != pytest.approx(expected, abs=1e-2)


def test_prompts_of_several_lengths_do_not_change_each_other(models):
    encoder = models.load("clip")
    texts = ["a", "a toy car with the texture of a gray sweater", "two dogs"]
    together = encoder.embed_texts(texts)
    alone = torch.stack([encoder._embed_texts([text])[0] for text in texts])
    assert torch.allclose(together, alone, atol=1e-6)


def test_long_prompt_is_cut_to_what_clip_reads(models):
    assert models.load("clip").embed_texts(["word " * 200]).isfinite().all()


@pytest.mark.parametrize(
    ("prompt", "plain"),
    [
        ("a boy in a #red scarf#", "a boy in a red scarf"),
        ("#a gray sweater#", "a gray sweater"),
        ("a toy # car #.", "a toy car ."),
        ("no marks", "no marks"),
    ],
)
def test_marks_are_stripped_from_prompts(prompt, plain):
    assert plain_prompt(prompt) == plain


def test_shared_reference_is_embedded_once(models, monkeypatch):
    encoder = models.load("dino")
    shapes, features = [], encoder.features
    monkeypatch.setattr(
        encoder, "features", lambda network, pixels: shapes.append(len(pixels)) or features(network, pixels)
    )
    edits = [make_edit(seed=seed, reference=make_edit().reference) for seed in (1, 2, 3)]
    for edit in edits:
        value(edit, "dino", models)
    assert sum(shapes) == 3 + 1
