import pytest

from mimicbrush.work_share import WorkShare

NAMES = [f"clip_{number}.mp4" for number in range(40)]


def shares(num_tasks: int) -> list[WorkShare]:
    return [WorkShare(task=task, num_tasks=num_tasks) for task in range(num_tasks)]


@pytest.mark.parametrize("share", ["by_position", "by_name"])
def test_each_item_belongs_to_one_task(share):
    parts = [getattr(each, share)(NAMES) for each in shares(3)]
    assert sorted(name for part in parts for name in part) == sorted(NAMES)
    assert getattr(WorkShare(), share)(NAMES) == NAMES


def test_added_inputs_move_no_other():
    for each in shares(4):
        assert set(each.by_name(NAMES[::2])) <= set(each.by_name(NAMES))


def test_who_does_which_input_is_as_it_always_was():
    """A resumed array must not repeat inputs of another task."""
    assert [next(each.task for each in shares(7) if each.by_name([name])) for name in "abcdef"] == [4, 0, 3, 0, 4, 1]


def test_tasks_hold_shares_of_the_folder_and_a_single_one_holds_it_all():
    assert [each.lock_name for each in shares(2)] == ["0000", "0001"] and WorkShare().lock_name == ""


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"task": 2, "num_tasks": 2}, "task is 2; expected 0 to 1, as num_tasks is 2"),
        ({"task": -1}, "task is -1; expected 0 to 0"),
        ({"num_tasks": 0}, "num_tasks is 0; expected 1 or more"),
    ],
)
def test_impossible_tasks_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        WorkShare(**fields)
