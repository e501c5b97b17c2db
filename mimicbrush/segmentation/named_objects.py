"""Masks of objects that words name: Grounding DINO (Liu et al. 2023) finds a box, and Segment Anything segments it."""

from __future__ import annotations

import torch
from PIL import Image
from transformers import AutoProcessor, GroundingDinoForObjectDetection

from mimicbrush.device import choose_device
from mimicbrush.errors import UserError, first_line
from mimicbrush.hub.local_networks import AbsentWeightsError, find_folder, load_weights
from mimicbrush.segmentation.prompt import Mask, SegmentationPrompt
from mimicbrush.segmentation.segment_anything import SegmentAnything

MIN_SCORE = 0.3
"""Least score of a box, and of a word in it, as in Grounding DINO's own examples."""


class NamedObjects:
    """Segments the object that words name.

    detector: weights of Grounding DINO; segmenter: weights of Segment Anything; each a folder, or a hub repository that
    is on this machine. Raises UserError where weights are missing or damaged.
    """

    def __init__(self, detector: str, segmenter: str) -> None:
        try:
            folder = find_folder(detector, "grounding-dino", has_tokenizer=True)
            model = load_weights(GroundingDinoForObjectDetection, folder)
            self.processor = AutoProcessor.from_pretrained(folder, local_files_only=True)
        except (AbsentWeightsError, OSError, ValueError) as error:
            reason = first_line(error).split(". ")[0]
            raise UserError(
                f"{detector}: cannot load Grounding DINO ({reason}); give a folder of its weights"
            ) from None
        self.model = model.to(choose_device("auto"))
        self.segmenter = SegmentAnything(segmenter)

    def segment(self, image: Image.Image, words: str) -> Mask | None:
        """Mask (H, W) of the object that fits the words best; None where there is none."""
        box = self.find_box(image, words)
        if box is None:
            return None
        return self.segmenter.segment(image, SegmentationPrompt(box=box))

    @torch.inference_mode()
    def find_box(self, image: Image.Image, words: str) -> tuple[float, float, float, float] | None:
        """Box of the object that fits the words best, in pixels; None where none fits."""
        # Grounding DINO was trained on lower-case phrases, each of which ends with a full stop.
        text = words.strip().lower().rstrip(".") + "."
        inputs = self.processor(images=image, text=text, return_tensors="pt").to(self.model.device)
        (found,) = self.processor.post_process_grounded_object_detection(
            self.model(**inputs), inputs.input_ids, threshold=MIN_SCORE, text_threshold=MIN_SCORE,
            target_sizes=[image.size[::-1]],
        )  # fmt: skip
        if not len(found["scores"]):
            return None
        return tuple(found["boxes"][found["scores"].argmax()].tolist())
