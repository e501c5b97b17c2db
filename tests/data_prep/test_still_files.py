from __future__ import annotations

from pathlib import Path

from data_prep.still_files import ListedStills, list_stills


def touch(folder: Path, *names: str) -> ListedStills:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return list_stills(folder, output=folder / "out")


def paired(listed: ListedStills) -> dict[str, tuple[str, str]]:
    """The contents of each still's picture and annotations, which `touch` writes as their names."""
    return {
        name: tuple(extent.read().decode() if extent else "" for extent in files)
        for name, files in listed.stills.items()
    }


def test_pictures_and_annotations_may_lie_in_two_folders(tmp_path: Path) -> None:
    listed = touch(
        tmp_path,
        *("set/images/train/1.jpg", "set/images/train/2.jpg", "set/annotations/train/1.json"),
        *("beside/3.jpg", "beside/3.json"),
    )
    assert paired(listed) == {
        "beside/3": ("beside/3.jpg", "beside/3.json"),
        "set/images/train/1": ("set/images/train/1.jpg", "set/annotations/train/1.json"),
        "set/images/train/2": ("set/images/train/2.jpg", ""),
    }


def test_only_folders_of_one_kind_belong_together(tmp_path: Path) -> None:
    names = (
        "a/1.jpg",
        "a/2.jpg",
        "a/2.json",
        "b/1.json",
        "c/3.jpg",
        "d/3.json",
        "e/3.json",
        "f/4.jpg",
        "g/4.jpg",
        "h/4.json",
    )
    listed = paired(touch(tmp_path, *names))
    assert {name: pair for name, pair in listed.items() if all(pair)} == {"a/2": ("a/2.jpg", "a/2.json")}
    assert len(listed) == 9


def test_other_files_are_counted(tmp_path: Path) -> None:
    listed = touch(tmp_path, "1.jpg", "1.png", "1.json", "notes.txt", "set.zip", "LICENSE")
    assert paired(listed) == {"1": ("1.jpg", "1.json")}
    assert listed.passed_over == {"without suffix": 1, ".png": 1, ".txt": 1, ".zip": 1}
