"""Segment Anything, as transformers loads it."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers import SamModel, SamProcessor

from mimicbrush.errors import UserError
from mimicbrush.evaluation.build.regions import Region
from mimicbrush.evaluation.metrics.pretrained import load_weights
from mimicbrush.evaluation.metrics.sources import AbsentError, find_folder
from mimicbrush.hub import find_part
from mimicbrush.weight_files import TRANSFORMERS


class SegmentAnything:
    """Masks for boxes and clicks. name: a folder or a hub repository; nothing in it is executed.

    Raises UserError where the weights are not on this machine, and may not or cannot be fetched.
    """

    def __init__(self, name: str, *, download: bool = False) -> None:
        self.name = name
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            if download:
                find_part(name, TRANSFORMERS, class_name="SamModel", extra=("*config.json",))
            folder = find_folder(name, "sam")
            model = load_weights(SamModel, folder)
            self.processor = SamProcessor.from_pretrained(folder, local_files_only=True)
        except (AbsentError, OSError, ValueError) as error:
            reason = str(error).strip().splitlines()[0].split(". ")[0]
            hint = "check the name and the connection" if download else "set masks.sam_download to fetch it"
            raise UserError(f"{name}: no SAM to load ({reason}); give a folder of its weights, or {hint}") from None
        self.model = model.to(self.device).eval()

    @torch.inference_mode()
    def segment(self, image: Image.Image, region: Region) -> NDArray[np.bool_]:
        """(H, W), true inside. Of the three things that clicks may mean, SAM's own favourite is taken."""
        inputs = self.processor(
            images=image,
            input_boxes=[[list(region.box)]] if region.box else None,
            input_points=[[[[click.x, click.y] for click in region.clicks]]] if region.clicks else None,
            input_labels=[[[click.label for click in region.clicks]]] if region.clicks else None,
            return_tensors="pt",
        ).to(self.device, torch.float32)
        sizes = inputs.pop("original_sizes").cpu(), inputs.pop("reshaped_input_sizes").cpu()
        answer = self.model(**inputs, multimask_output=region.box is None)
        (masks,) = self.processor.image_processor.post_process_masks(answer.pred_masks.cpu(), *sizes)
        return masks[0, answer.iou_scores[0, 0].argmax().item()].numpy()
