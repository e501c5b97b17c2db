"""Count what was kept and dropped of a clip, for its record in the shard's index."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from data_prep.clips.borders import Borders
from data_prep.clips.pairs import Selection
from data_prep.config import PairConfig
from data_prep.frames.images import encode_strip
from data_prep.frames.keypoints import Match, median_motion
from data_prep.records.summary import BAND_BIN, GAP_BIN, MOTION_BIN, histogram
from data_prep.records.work_units import KEPT
from mimicbrush.video.decoded_clip import Frame

UNCOMPARED = frozenset({"too_close", "cut_between"})
"""Reasons for which pairs are dropped before they are compared. Every clip has such pairs, so they are the reason why a
clip gave no pair only if there is no other."""


@dataclass
class ClipRecord:
    """Counts of a clip's frames and pairs, added up over its shots."""

    num_frames: int = 0
    num_shots: int = 0
    num_shots_left_out: int = 0
    """Number of shots beyond `shots_per_clip`."""
    num_stretches: int = 1
    num_stretches_read: int = 1
    num_pairs: int = 0
    num_vouched: int = 0
    """Number of these pairs that lie below the band."""
    deinterlaced: bool = False
    """Whether a frame that was compared had been deinterlaced."""
    dropped_frames: Counter[str] = field(default_factory=Counter)
    dropped_pairs: Counter[str] = field(default_factory=Counter)
    candidates: list[float] = field(default_factory=list)
    """Similarity of every pair that was compared."""
    similarities: list[float] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)
    motions: list[float] = field(default_factory=list)
    cropped: Counter[Borders] = field(default_factory=Counter)
    """Number of pairs, and one for the shot, by the borders that were cropped."""
    examples: dict[str, bytes] = field(default_factory=dict)
    """A small JPEG of the first frame, or pair of frames, that was dropped for each reason."""

    def add_shot(self, selection: Selection, matches: Sequence[list[Match]], borders: Borders | None = None) -> None:
        """Add the pairs of a shot, with their matches and the borders that were cropped from its frames."""
        self.num_shots += 1
        self.num_pairs += len(selection.pairs)
        self.deinterlaced |= any(pair.first.deinterlaced or pair.second.deinterlaced for pair in selection.candidates)
        if borders and any(borders):
            self.cropped[borders] += 1 + len(selection.pairs)
        self.num_vouched += sum(pair.is_vouched for pair in selection.pairs)
        self.dropped_frames.update(selection.dropped_frames)
        self.dropped_pairs.update(selection.dropped_pairs)
        self.candidates += [pair.similarity for pair in selection.candidates]
        self.similarities += [pair.similarity for pair in selection.pairs]
        self.gaps += [pair.gap for pair in selection.pairs]
        self.motions += [motion for motion in map(median_motion, matches) if motion is not None]
        for reason, frames in selection.examples.items():
            self.add_example(reason, frames)

    def shots_per_stretch(self, config: PairConfig) -> int:
        """Largest number of shots of each stretch of which pairs are chosen."""
        return max(1, config.shots_per_clip // self.num_stretches_read)

    def add_example(self, reason: str, frames: Sequence[Frame]) -> None:
        """Keep a small picture of what was dropped for a reason, unless there is one."""
        if reason not in self.examples:
            self.examples[reason] = encode_strip([frame.image for frame in frames])

    def summarise(self) -> dict:
        """Status of the clip, counts by reason, and histograms."""
        compared = f"{len(self.candidates)} pair{'s' * (len(self.candidates) != 1)} compared"
        detail = f"{self.num_frames} frames, {compared}"
        return {
            "status": KEPT if self.num_pairs else self._main_reason(),
            "detail": "" if self.num_pairs else detail,
            "shots": self.num_shots,
            **({"left_out_shots": self.num_shots_left_out} if self.num_shots_left_out else {}),
            **({"stretches": [self.num_stretches_read, self.num_stretches]} if self.num_stretches > 1 else {}),
            **({"deinterlaced": True} if self.deinterlaced else {}),
            **({"cropped": list(self.cropped.most_common(1)[0][0])} if self.cropped else {}),
            "vouched": self.num_vouched,
            "dropped_frames": dict(self.dropped_frames),
            "dropped_pairs": dict(self.dropped_pairs),
            "candidates": histogram(self.candidates, BAND_BIN),
            "similarity": histogram(self.similarities, BAND_BIN),
            "gap": histogram(self.gaps, GAP_BIN),
            "motion": histogram(self.motions, MOTION_BIN),
        }

    def _main_reason(self) -> str:
        """The most frequent reason why no pair was kept."""
        compared = Counter({reason: num for reason, num in self.dropped_pairs.items() if reason not in UNCOMPARED})
        dropped = compared or self.dropped_pairs or self.dropped_frames
        return dropped.most_common(1)[0][0] if dropped else "too_short"
