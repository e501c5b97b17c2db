"""Imitative editing in one call on pictures: what `mimicbrush.edit` and notebooks use."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from mimicbrush.editors.mimicbrush import MimicBrushEditor
from mimicbrush.imaging import from_pil, mask_from_pil, to_pil
from mimicbrush.requests import ReferenceRequest


class MimicBrushPipeline:
    """Holds a network; each call edits one picture.

    pipe = MimicBrushPipeline.from_pretrained("runs/demo/train")
    (edited,) = pipe(image=source, mask_image=mask, reference_image=reference)
    """

    def __init__(self, editor: MimicBrushEditor) -> None:
        self.editor = editor

    @classmethod
    def from_pretrained(cls, folder: str | Path, *, use_ema: bool = True, device: str = "auto") -> MimicBrushPipeline:
        """From a training run's folder; raises UserError where it holds no checkpoint."""
        return cls(MimicBrushEditor(Path(folder), use_ema=use_ema, device=device))

    def __call__(
        self,
        image: Image.Image,
        mask_image: Image.Image,
        reference_image: Image.Image,
        *,
        keep_shape: bool = False,
        num_inference_steps: int = 50,
        guidance_scale: float = 5.0,
        num_images_per_prompt: int = 1,
        seed: int = 0,
    ) -> list[Image.Image]:
        """Repaint the white part of `mask_image` after the reference; the results have seeds seed, seed + 1, ...

        Raises UserError where mask and image differ in size or the mask is empty.
        """
        source, mask, reference = from_pil(image), mask_from_pil(mask_image), from_pil(reference_image)
        requests = [
            ReferenceRequest(
                source=source[None],
                mask=mask[None],
                reference=reference,
                keep_shape=keep_shape,
                seed=seed + number,
            )
            for number in range(num_images_per_prompt)
        ]
        editor = MimicBrushEditor.of_network(
            self.editor.network, num_inference_steps=num_inference_steps, guidance_scale=guidance_scale
        )
        return [to_pil(edited[0]) for edited in editor.edit_batch(requests)]
