from __future__ import annotations

from data_prep.shard_report.expectations import expectations


def test_a_folder_without_pairs_or_masks_is_described_as_such() -> None:
    facts = {"groups": 0, "pairs": 0, "matched": 0, "masks": {}, "notes": {}}
    (said,) = expectations(facts)
    assert "There is no pair to train on" in said
    said = " ".join(expectations({**facts, "groups": 1, "pairs": 1, "masks": {"none": 1}}))
    assert "There is one pair." in said and "No source has an object mask; training hides random grid cells" in said
    said = " ".join(expectations({**facts, "groups": 7, "pairs": 9, "masks": {"sam": 5, "none": 1, "box": 1}}))
    assert "6 of 7 sources have an object mask (5 by sam, 1 from boxes)" in said
