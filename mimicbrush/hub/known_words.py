"""Words that a small text encoder was trained on: a prompt with others is refused, because its tokens mean nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from mimicbrush.errors import UserError, some_of

WHOLE_WORDS = "whole_words"
"""Entry of a tokenizer's config: all words that were trained; others are read in pieces, which mean nothing."""
CARD = "mimicbrush/assets/clip/README.md#words"
"""Lists the words of asset:clip, which asset:unclip shares."""


def require_known_words(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], *, reader: str) -> None:
    """Raise UserError, which names them, for words, numbers and signs beyond ASCII that were never trained.

    A tokenizer without `whole_words` in its config, such as that of the released CLIPs, reads every word in pieces.
    Commas and other signs of ASCII are let through: they belong to a sentence. reader: the network in words, such as
    "this CLIP".
    """
    known = tokenizer.init_kwargs.get(WHOLE_WORDS)
    if not known:
        return
    words = dict.fromkeys(
        word for text in texts for word in re.findall(r"[^\W\d_]+|\d+|[^\x00-\x7f\w\s]", text.lower())
    )
    unknown = [word for word in words if word not in known]
    if unknown:
        raise UserError(
            f"{reader} does not know {some_of(unknown, 10)}; use words of its tokenizer ({CARD} lists those of"
            " asset:clip and asset:unclip), or other weights"
        )
