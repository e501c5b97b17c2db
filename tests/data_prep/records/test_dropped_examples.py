from __future__ import annotations

from base64 import b64decode

from data_prep.records.dropped_examples import MAX_BYTES, MAX_EXAMPLES, Examples


def names(examples: Examples, reason: str) -> list[str]:
    return [one["name"] for one in examples if one["reason"] == reason]


def test_a_few_examples_of_different_inputs_are_kept_for_each_reason() -> None:
    examples = Examples()
    for number in range(10):
        examples.add(f"{number}.mp4", "blurred", b"picture", is_skipped=False)
    assert names(examples, "blurred") == [f"{number}.mp4" for number in range(MAX_EXAMPLES)]
    assert {b64decode(one["picture"]) for one in examples} == {b"picture"}


def test_skipped_inputs_are_better_examples_and_come_first() -> None:
    examples = Examples()
    for number in range(10):
        examples.add(f"{number}.mp4", "blurred", b"picture", is_skipped=number in (7, 9))
    assert names(examples, "blurred")[:2] == ["7.mp4", "9.mp4"]
    assert len(names(examples, "blurred")) == MAX_EXAMPLES


def test_bytes_are_bounded_but_every_reason_has_an_example() -> None:
    examples = Examples()
    for reason in ("blurred", "too_alike", "too_unlike"):
        for number in range(3):
            examples.add(f"{number}.mp4", reason, bytes(MAX_BYTES // 2), is_skipped=False)
    assert names(examples, "blurred") == ["0.mp4", "1.mp4"]
    assert names(examples, "too_alike") == names(examples, "too_unlike") == ["0.mp4"]
