"""Prompts in the templates of the release, as CLIP's text encoder reads them."""

from __future__ import annotations

from collections.abc import Iterable

TEMPLATES = (
    "photo of {}.",
    "high quality photo of {}.",
    "a photo of {}.",
    "the photo of {}.",
    "image of {}.",
    "an image of {}.",
    "high quality image of {}.",
    "a high quality image of {}.",
    "the {}.",
    "a {}.",
    "{}.",
    "{}",
    "{}!",
    "{}...",
)
"""Sentences around the description of a picture."""
SCREEN_TEMPLATES = ("{} over a green screen.", "{} in front of a green screen.")
"""Sentences around the description of a layer on a green screen."""


def fill_templates(prompts: Iterable[str], templates: tuple[str, ...]) -> list[str]:
    """All templates of the first prompt, then all of the second, and so on."""
    return [template.format(prompt) for prompt in prompts for template in templates]
