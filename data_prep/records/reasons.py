"""Plain words for the codes by which inputs, frames and pairs are counted when they are left out.

Code and records keep the short codes: they are stored in indexes, and `--work.retry` names them. People read the words
on the console, in the summary's line and in the report. A new code gets its words here; a test fails without them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from mimicbrush.data.picture_limits import LIMITS
from mimicbrush.errors import spaced


class Reason(NamedTuple):
    """Explains why something was left out."""

    words: str
    """A few words that stand before a count or as a heading, such as `damaged frames`; no two reasons share them."""
    meaning: str
    """A sentence on what was found and, if the reader can change it, how."""
    can_retry: bool = False
    """Whether the same file may succeed later or with other limits, so that `--work.retry` helps."""


REASONS: Mapping[str, Reason] = {
    # Files and processes
    "missing": Reason("no such file", "The list names a file that does not exist, or the file is a broken link.", True),
    "not_a_file": Reason("not a regular file", "Only files are opened, no folders, pipes or devices.", True),
    "unreadable_folder": Reason("folder may not be listed", "The permissions of this folder forbid it.", True),
    "no_permission": Reason("no permission to read it", "The permissions of this file forbid it.", True),
    "timeout": Reason("took too long", "Reading it took longer than --work.timeout, twice.", True),
    "crashed": Reason("crashed its reader", "The process that read it died, twice; the others continued.", True),
    "out_of_memory": Reason("needed too much memory", "Decoding it needs more than --work.memory.", True),
    "failed": Reason(
        "unexpected error", "The error and the line of code that raised it are named beside the file.", True
    ),
    # Clips
    "unreadable": Reason("not readable as a video", "The container is damaged, cut off, or of an unknown kind."),
    "no_video_stream": Reason("no video in the file", "The file holds only sound, or a codec that is not installed."),
    "no_decoder": Reason("decord is not installed", "Use --decoder auto, or install decord.", True),
    "no_duration": Reason("unknown length", "Nothing says how long the clip is, so no moments can be chosen."),
    "no_times": Reason("frames without time stamps", "Nothing says when its frames are shown."),
    "hdr": Reason(
        "HDR colours", "PQ and HLG need tone mapping, which is not done here; convert the clip to SDR first."
    ),
    "tilted": Reason(
        "shown at an angle", "The file asks for a rotation that is no quarter turn; rotate the clip itself first."
    ),
    "corrupt_frames": Reason(
        "damaged frames", "A frame at or before a moment that was needed cannot be decoded intact."
    ),
    "too_short": Reason("too short", "There are fewer than two distinct frames to compare."),
    # Frames
    "too_small": Reason(
        "picture too small or too narrow",
        f"Training reads pictures with {LIMITS}; a still needs sides of 32 pixels.",
    ),
    "near_black": Reason("too dark", "The frame's mean brightness is below --pairs.min_brightness."),
    "blurred": Reason("blurred", "The frame has less detail than --pairs.min_sharpness asks for."),
    "near_duplicate": Reason(
        "frame shown before", "It differs from an earlier frame by less than --pairs.min_difference."
    ),
    "transition": Reason("slow transition", "A dissolve, fade, wipe or flash: the frame shows two shots, or neither."),
    # Pairs
    "too_close": Reason("moments too close", "The two frames are less than --pairs.min_gap seconds apart."),
    "cut_between": Reason("different shots", "A cut lies, or may lie, between the two frames."),
    "too_unlike": Reason(
        "too little in common",
        "The similarity lies below --pairs.ssim_low, and no matches were found, or needed, to vouch for the pair.",
    ),
    "too_alike": Reason(
        "hardly any change",
        "The similarity lies above --pairs.ssim_high, or less than --pairs.min_changed of the picture changed.",
    ),
    "not_needed": Reason(
        "good, not needed", "The shot already has --pairs.pairs_per_shot pairs, spread over the band."
    ),
    # Whole clips, after all of them are known
    "near_duplicate_clip": Reason(
        "repeats another",
        "Most frames of the shorter clip, or parts of the photographs, look like those of the other; see"
        " --duplicate_share.",
    ),
    # Stills
    "missing_picture": Reason("no picture", "There is a JSON file of masks without a picture of the same name."),
    "missing_masks": Reason("no masks", "The picture has no JSON file of masks beside it, or the list in it is empty."),
    "bad_picture": Reason("damaged picture", "The picture cannot be decoded, or a part of it is damaged."),
    "bad_json": Reason("damaged masks file", "The JSON file is cut off, or not in SA-1B's layout."),
    "bad_mask": Reason(
        "damaged mask", "A mask is neither COCO's run lengths nor polygons, or does not fill its picture."
    ),
    "bad_rating": Reason("mask rating is no number", "A mask's area or quality is null or a text."),
    "mask_size": Reason("mask of another size", "A mask states another height and width than its picture has."),
    "no_good_mask": Reason(
        "no suitable mask", "No mask lies within the limits of --masks on area, quality and borders."
    ),
    # Photographs
    "bad_row": Reason("row that cannot be used", "A row of the CSV lacks a required cell, or has too many cells."),
    "copies": Reason(
        "nearly the same picture",
        "Source and reference differ so little that copying in place would solve the pair.",
    ),
    "single_photograph": Reason(
        "only photograph of its subject", "A pair needs two photographs of one thing; add one to its folder."
    ),
    "mask_unreadable": Reason("mask is not a picture", "The file of the mask cannot be read as a picture."),
    "mask_grey": Reason("grey mask", "A mask must be black and white; away from its border it has greys."),
    "mask_empty": Reason("empty mask", "The mask is black, or the picture transparent, everywhere."),
    "bad_region": Reason("box or clicks outside", "A box is empty, or lies outside its photograph."),
    "no_box": Reason("clicks without a box", "This method needs a box; use --masks.method sam for clicks."),
    "truncated": Reason("cut off", "The archive ends in the middle of this file."),
    "not_a_tar": Reason("not a tar archive", "The file is named like a tar archive but cannot be read as one."),
    "damaged_tar": Reason("damaged archive", "Part of the archive cannot be read; what precedes it was used."),
}


def explain(code: str) -> Reason:
    """The words of a code; those of a code that another version wrote are the code itself, with spaces."""
    return REASONS.get(code) or Reason(code.replace("_", " "), "")


def describe_counts(counts: Mapping[str, int]) -> str:
    """Join the counts of codes as `damaged frames (3), HDR colours (1)`, in the given order."""
    return ", ".join(f"{explain(code).words} ({spaced(count)})" for code, count in counts.items())
