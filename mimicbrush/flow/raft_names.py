"""Names of RAFT's tensors in the authors' files, whose names this package uses, and in torchvision's."""

from __future__ import annotations

import re
from collections.abc import Collection

AUTHORS_PREFIX = "module."
"""Before every name in the authors' files, which were saved from DataParallel."""

TORCHVISION_NAMES = (
    (r"^feature_encoder\.", "fnet."),
    (r"^context_encoder\.", "cnet."),
    (r"^(.net)\.convnormrelu\.0\.", r"\1.conv1."),
    (r"^(.net)\.convnormrelu\.1\.", r"\1.norm1."),
    (r"^(.net)\.conv\.", r"\1.conv2."),
    (r"\.convnormrelu(\d)\.0\.", r".conv\1."),
    (r"\.convnormrelu(\d)\.1\.", r".norm\1."),
    (r"^update_block\.motion_encoder\.convcorr(\d)\.0\.", r"update_block.encoder.convc\1."),
    (r"^update_block\.motion_encoder\.convflow(\d)\.0\.", r"update_block.encoder.convf\1."),
    (r"^update_block\.motion_encoder\.conv\.0\.", "update_block.encoder.conv."),
    (r"^update_block\.recurrent_block\.convgru(\d)\.conv([zrq])\.", r"update_block.gru.conv\2\1."),
    (r"^mask_predictor\.convrelu\.0\.", "update_block.mask.0."),
    (r"^mask_predictor\.conv\.", "update_block.mask.2."),
)
"""Patterns in torchvision's names, and what replaces them, in order."""

RELATIVES = {
    "context_zqr_convs.": "RAFT-Stereo",
    "att.to_qk.": "GMA",
    "upsample_weight.": "SEA-RAFT",
    "feature_flow_attn.": "GMFlow or UniMatch",
    "memory_decoder.": "FlowFormer",
    "flownetc.": "FlowNet 2",
}
"""The beginning of a name that only the named network has."""


def own_names(names: Collection[str]) -> dict[str, str]:
    """Map the names in a file, the authors', torchvision's or this package's, to this package's.

    The authors' files name the normalisation of a shortcut twice; the second name is left out.
    """
    plain = {name: name.removeprefix(AUTHORS_PREFIX) for name in names}
    if any(name.startswith("feature_encoder.") for name in plain.values()):
        is_small = not any(".convgru2." in name for name in plain.values())
        return {name: _from_torchvision(each, is_small=is_small) for name, each in plain.items()}
    known = set(plain.values())
    return {name: each for name, each in plain.items() if not _is_alias(each, known)}


def recognise(names: Collection[str]) -> str | None:
    """Tell which network a file's names belong to: `RAFT large`, `RAFT small`, a relative, or None for another."""
    plain = {name.removeprefix(AUTHORS_PREFIX) for name in names}
    for beginning, relative in RELATIVES.items():
        if any(name.startswith(beginning) for name in plain):
            return relative
    found = set(own_names(names).values())
    for size, gate in (("RAFT large", "convz1"), ("RAFT small", "convz")):
        if {f"update_block.gru.{gate}.weight", "fnet.conv1.weight", "cnet.conv1.weight"} <= found:
            return size
    return None


def _from_torchvision(name: str, *, is_small: bool) -> str:
    for pattern, replacement in TORCHVISION_NAMES:
        name = re.sub(pattern, replacement, name)
    # With a single step, the authors do not number the gates.
    return re.sub(r"(\.gru\.conv[zrq])1\.", r"\1.", name) if is_small else name


def _is_alias(name: str, known: Collection[str]) -> bool:
    """Whether this is the second name of a shortcut's normalisation: norm3 of two convolutions, norm4 of three."""
    match = re.fullmatch(r"(.+\.)norm([34])(\.\w+)", name)
    return match is not None and (
        f"{match[1]}downsample.1{match[3]}" in known and f"{match[1]}conv{match[2]}.weight" not in known
    )
