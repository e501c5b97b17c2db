"""Captions of the small world, their words, and the parts of a caption.

A caption names an object, mostly its material, and often the background: `a red striped star on a wooden table`.
Templates, which are those of Text2LIVE, stand around it: `a photo of a brick mug.`
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from mimicbrush.errors import UserError
from mimicbrush.world.renderer.backgrounds import BACKGROUNDS
from mimicbrush.world.renderer.silhouettes import SILHOUETTES
from mimicbrush.world.sets.splits import MATERIALS, SEEN_BACKGROUNDS, SEEN_MATERIALS, SEEN_OBJECTS

TEMPLATES = (
    "{}", "{}.", "{}!", "{}...", "a photo of {}.", "the photo of {}.", "photo of {}.", "high quality photo of {}.",
    "an image of {}.", "image of {}.", "high quality image of {}.", "a high quality image of {}.",
)  # fmt: skip
"""Texts around a noun phrase."""
ARTICLES = ("a", "an", "the")
PREPOSITIONS = ("on", "over", "in front of")
"""Words between object and background; Text2LIVE says that an edit is over, or in front of, a green screen."""
_ARTICLE = rf"(?:(?:{'|'.join(ARTICLES)}) )?"
_GRAMMAR = re.compile(
    rf"(?:{_ARTICLE}(?:high quality )?(?:photo|image) of )?{_ARTICLE}"
    rf"(?:(?P<material>.+?) )?(?P<object>[\w-]+)(?: (?:{'|'.join(PREPOSITIONS)}) (?P<background>.+))?"
)


class Description(NamedTuple):
    """The parts of a caption, by name."""

    object: str
    material: str | None = None
    background: str | None = None


def noun_phrase(object_name: str, material: str | None = None) -> str:
    """Name an object, in a material: `an orange ball`."""
    words = f"{material} {object_name}" if material else object_name
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def write_caption(description: Description, *, template: str = TEMPLATES[0], preposition: str = PREPOSITIONS[0]) -> str:
    """Write a caption: `a red striped star on a wooden table`."""
    phrase = noun_phrase(description.object, description.material)
    if description.background:
        phrase = f"{phrase} {preposition} {description.background}"
    return template.format(phrase)


def split_words(text: str) -> list[str]:
    """Split a sentence into words, in lower case, and punctuation marks."""
    return re.findall(r"\w+(?:-\w+)*|[^\w\s]", text.lower())


def parse_caption(text: str) -> Description:
    """Find the object, the material and the background that a caption names; the last two may be missing.

    Raises UserError that lists the unknown words, or says what was expected.
    """
    words = split_words(text)
    unknown = [word for word in dict.fromkeys(words) if word not in WORDS]
    if unknown:
        raise UserError(
            f"{text!r}: unknown words {', '.join(unknown)}; objects are {', '.join(SILHOUETTES)}; words of materials"
            f" are {', '.join(sorted(_words_of(MATERIALS)))}; backgrounds are {', '.join(BACKGROUNDS)}"
        )
    while words and words[-1] in PUNCTUATION:
        words.pop()
    found = _GRAMMAR.fullmatch(" ".join(words))
    description = Description(**found.groupdict()) if found else Description("")
    for part, known in zip(description, (SILHOUETTES, MATERIALS, BACKGROUNDS), strict=True):
        if part is not None and part not in known:
            found_part = f", found {part!r}" if part else ""
            raise UserError(
                f"{text!r}: expected an object after its material, such as 'a red striped star on grass'{found_part}"
            )
    return description


def _words_of(texts: Iterable[str]) -> frozenset[str]:
    return frozenset(word for text in texts for word in split_words(text.replace("{}", "")))


PUNCTUATION = frozenset(".!")
_FUNCTION_WORDS = _words_of((*TEMPLATES, *ARTICLES, *PREPOSITIONS))
WORDS = _FUNCTION_WORDS | _words_of((*SILHOUETTES, *MATERIALS, *BACKGROUNDS))
"""Every word and punctuation mark of any caption."""
SEEN_WORDS = _FUNCTION_WORDS | _words_of((*SEEN_OBJECTS, *SEEN_MATERIALS, *SEEN_BACKGROUNDS))
"""Words that occur in training; a network conditioned on words knows no others."""
