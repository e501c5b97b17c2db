"""Segment Anything (Kirillov et al. 2023), loaded with transformers."""

from __future__ import annotations

import torch
from PIL import Image
from transformers import SamModel, SamProcessor

from mimicbrush.device import choose_device
from mimicbrush.errors import UserError, first_line
from mimicbrush.hub.local_networks import AbsentWeightsError, find_folder, load_weights
from mimicbrush.hub.part_files import find_part
from mimicbrush.hub.weight_files import TRANSFORMERS
from mimicbrush.segmentation.prompt import Mask, SegmentationPrompt


class SegmentAnything:
    """Segments objects at boxes and clicks.

    name: a folder or a hub repository; no code in it is executed. download: fetch missing files.
    Raises UserError if the weights are missing or damaged, or cannot be fetched.
    """

    def __init__(self, name: str, *, download: bool = False) -> None:
        self.name = name
        self.device = choose_device("auto")
        try:
            if download:
                find_part(name, TRANSFORMERS, class_name="SamModel", extra=("*config.json",))
            folder = find_folder(name, "sam")
            model = load_weights(SamModel, folder)
            self.processor = SamProcessor.from_pretrained(folder, local_files_only=True)
        except (AbsentWeightsError, OSError, ValueError) as error:
            reason = first_line(error).split(". ")[0]
            raise UserError(f"{name}: cannot load SAM ({reason}); give a folder of its weights") from None
        self.model = model.to(self.device).eval()

    @torch.inference_mode()
    def segment(self, image: Image.Image, prompt: SegmentationPrompt) -> Mask:
        """Segment the object of a prompt; of three candidates for clicks, return the one with the highest score."""
        inputs = self.processor(
            images=image,
            input_boxes=[[list(prompt.box)]] if prompt.box else None,
            input_points=[[[[click.x, click.y] for click in prompt.clicks]]] if prompt.clicks else None,
            input_labels=[[[click.label for click in prompt.clicks]]] if prompt.clicks else None,
            return_tensors="pt",
        ).to(self.device, torch.float32)
        sizes = inputs.pop("original_sizes").cpu(), inputs.pop("reshaped_input_sizes").cpu()
        answer = self.model(**inputs, multimask_output=prompt.box is None)
        (masks,) = self.processor.image_processor.post_process_masks(answer.pred_masks.cpu(), *sizes)
        return masks[0, answer.iou_scores[0, 0].argmax().item()].numpy()
