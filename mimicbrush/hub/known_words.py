"""Words that a small text encoder was trained on: a prompt with others is refused, because its tokens mean nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from mimicbrush.errors import UserError, some_of

WHOLE_WORDS = "whole_words"
"""Entry of a tokenizer's config: words that are not a single token were never trained, not even in pieces."""
CARD = "mimicbrush/assets/clip/README.md#words"
"""Lists the words of asset:clip, which asset:unclip shares."""


def require_known_words(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], *, reader: str) -> None:
    """Raise UserError, which names them, for words, numbers and signs that were never trained.

    A tokenizer without `whole_words` in its config, such as that of the released CLIPs, reads every word in pieces.
    reader: the network in words, such as "this CLIP".
    """
    if not tokenizer.init_kwargs.get(WHOLE_WORDS):
        return
    words = dict.fromkeys(word for text in texts for word in re.findall(r"[^\W\d_]+|\d+|[^\w\s]", text.lower()))
    # Every digit is a token of its own, like every byte, whether it was trained or not.
    unknown = [word for word in words if word.isdigit() or len(tokenizer(word, add_special_tokens=False).input_ids) > 1]
    if unknown:
        raise UserError(
            f"{reader} does not know {some_of(unknown, 10)}; use words of its tokenizer ({CARD} lists those of"
            " asset:clip and asset:unclip), or other weights"
        )
