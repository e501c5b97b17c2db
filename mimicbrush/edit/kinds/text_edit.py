"""Edits from a text prompt: their options."""

# Annotations are not postponed here: jsonargparse would import what type checkers see, and so torch.

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mimicbrush.edit.config import PROGRAM, MaskedEditConfig
from mimicbrush.requests import TextRequest

if TYPE_CHECKING:
    from mimicbrush.edit.loaded_inputs import Inputs


@dataclass(frozen=True, kw_only=True)
class TextEditConfig(MaskedEditConfig):
    """Repaint the masked part of a picture from a text prompt."""

    prompt: str | None = None
    """Text that describes what the masked part should show."""
    editor: str = "mimicbrush.editors.stable_diffusion.StableDiffusionInpainting"

    kind = "text"
    request_class = TextRequest
    needed = ("source", "mask", "prompt", "output")
    examples = (
        f'{PROGRAM} text --source s.png --mask m.png --prompt "a red hat" --output e.png',
        f"{PROGRAM} text --batch edits.csv --editor my_package.MyEditor --init_args '{{strength: 0.5}}'",
    )
    ordinary = ("source", "mask", "prompt", "output", "editor", "init_args", "seed")

    def request(self, inputs: "Inputs", canvas_size: int) -> TextRequest:
        return TextRequest(source=inputs.frames, mask=inputs.mask[None], prompt=self.prompt, seed=self.seed)
