"""SAM with random weights in the real format, compared with transformers called directly on tensors."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import SamConfig, SamModel, SamProcessor
from transformers.models.sam.image_processing_pil_sam import SamImageProcessorPil

from mimicbrush.errors import UserError
from mimicbrush.segmentation.config import PhotographMaskConfig
from mimicbrush.segmentation.photograph_masks import make_masker
from mimicbrush.segmentation.photographs import ScaledPhotograph
from mimicbrush.segmentation.prompt import Click, SegmentationPrompt
from mimicbrush.segmentation.segment_anything import SegmentAnything

SIDE = 64


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> str:
    """Save a tiny SAM for pictures of 64 pixels with transformers."""
    torch.manual_seed(0)
    config = SamConfig(
        vision_config={
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": SIDE,
            "patch_size": 8,
            "output_channels": 16,
            "window_size": 4,
            "global_attn_indexes": [1],
            "num_pos_feats": 8,
            "mlp_dim": 64,
        },
        prompt_encoder_config={"hidden_size": 16, "image_size": SIDE, "patch_size": 8, "mask_input_channels": 4},
        mask_decoder_config={
            "hidden_size": 16,
            "mlp_dim": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "iou_head_hidden_dim": 16,
        },
    )
    processor = SamImageProcessorPil(
        size={"longest_edge": SIDE},
        pad_size={"height": SIDE, "width": SIDE},
        mask_size={"longest_edge": 16},
        mask_pad_size={"height": 16, "width": 16},
    )
    folder = tmp_path_factory.mktemp("sam")
    SamModel(config).save_pretrained(folder)
    SamProcessor(processor).save_pretrained(folder)
    return str(folder)


@pytest.fixture
def image() -> Image.Image:
    # Half of SAM's size, so that coordinates must be doubled, and wider than high, so that it is padded.
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8))


def direct(weights: str, image: Image.Image, **prompt: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return masks (N, 24, 32) of bool and their scores, computed without the processor."""
    scaled = torch.tensor(np.array(image.resize((64, 48), Image.Resampling.BILINEAR)), dtype=torch.float32)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    pixels = torch.zeros(1, 3, SIDE, SIDE)
    pixels[0, :, :48] = ((scaled / 255 - mean) / std).permute(2, 0, 1)
    model = SamModel.from_pretrained(weights).eval()
    with torch.inference_mode():
        answer = model(pixel_values=pixels, multimask_output="input_boxes" not in prompt, **prompt)
    logits = torch.nn.functional.interpolate(answer.pred_masks[0], (SIDE, SIDE), mode="bilinear", align_corners=False)
    logits = torch.nn.functional.interpolate(logits[..., :48, :], (24, 32), mode="bilinear", align_corners=False)
    return logits[0] > 0, answer.iou_scores[0, 0]


def test_box_gives_what_transformers_gives(weights, image):
    found = SegmentAnything(weights).segment(image, SegmentationPrompt(box=(4, 5, 20, 18)))
    masks, _ = direct(weights, image, input_boxes=torch.tensor([[[8.0, 10, 40, 36]]]))
    assert len(masks) == 1 and found.shape == (24, 32)
    assert np.mean(found != masks[0].numpy()) < 0.005


def test_clicks_give_the_mask_that_sam_scores_highest(weights, image):
    region = SegmentationPrompt(clicks=(Click(10, 12, 1), Click(3, 4, 0)))
    found = SegmentAnything(weights).segment(image, region)
    points, labels = torch.tensor([[[[20.0, 24], [6, 8]]]]), torch.tensor([[[1, 0]]])
    masks, scores = direct(weights, image, input_points=points, input_labels=labels)
    wrong = [np.mean(found != mask.numpy()) for mask in masks]
    assert len(masks) == 3 and wrong[scores.argmax()] < 0.005
    assert max(wrong) > 0.05


def test_masker_hands_sam_the_region_at_the_pictures_size(weights, image, tmp_path):
    (tmp_path / "regions.json").write_text(json.dumps({"a.jpg": {"box": [8, 10, 40, 36]}}))
    config = PhotographMaskConfig(method="sam", sam=weights, regions=tmp_path / "regions.json")
    masker = make_masker(config, ["a.jpg"], seed=0)
    found = masker.mask(ScaledPhotograph("a.jpg", image, (64, 48)))
    assert np.array_equal(found, SegmentAnything(weights).segment(image, SegmentationPrompt(box=(4, 5, 20, 18))))
    assert masker.describe("a.jpg") == {"method": "sam", "model": weights, "box": [8, 10, 40, 36]}


def test_absent_weights_are_named_with_what_to_do(tmp_path):
    (tmp_path / "regions.json").write_text(json.dumps({"a.jpg": {"box": [8, 10, 40, 36]}}))
    for name in (str(tmp_path), str(tmp_path / "absent"), "nobody/no-such-sam"):
        with pytest.raises(UserError, match=r"cannot load SAM .* give a folder of its weights$"):
            SegmentAnything(name)
        config = PhotographMaskConfig(method="sam", sam=name, regions=tmp_path / "regions.json")
        with pytest.raises(UserError, match=r"cannot load SAM .* set masks.sam_download"):
            make_masker(config, ["a.jpg"], seed=0)
