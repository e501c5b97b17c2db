"""The READMEs are true: their lists name the files that exist, their links resolve, and the front page is short."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

import mimicbrush
from tests.conftest import REPOSITORY

MAX_FRONT_PAGE_LINES = 110
CODE_SUFFIXES = {".py", ".yaml", ".sh"}
NOT_THE_PROJECT = {"runs", "wandb", "build", "data"}
"""Folders that commands make at the top of the repository."""
LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"")
CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.DOTALL | re.MULTILINE)


def markdown_files() -> list[Path]:
    """Every Markdown file of the project."""
    top = [path for path in REPOSITORY.iterdir() if not path.name.startswith(".") and path.name not in NOT_THE_PROJECT]
    nested = [file for folder in top if folder.is_dir() for file in folder.rglob("*.md")]
    hidden = (REPOSITORY / ".github").rglob("*.md")
    return sorted([path for path in top if path.suffix == ".md"] + nested + list(hidden))


def code_folders() -> list[Path]:
    """Folders that hold code and have a README."""
    folders = [path.parent for path in markdown_files() if path.name == "README.md" and path.parent != REPOSITORY]
    return [folder for folder in folders if code_in(folder)]


def code_in(folder: Path) -> set[str]:
    """Files of code in a folder and below, by relative paths; a subfolder with its own README is one entry."""
    found = set()
    for path in folder.iterdir():
        if path.is_dir() and path.name != "__pycache__":
            inside = code_in(path)
            if inside and (path / "README.md").exists():
                inside = {""}
            found |= {f"{path.name}/{name}" for name in inside}
        elif path.suffix in CODE_SUFFIXES and path.name != "__init__.py":
            found.add(path.name)
    return found


def listed_in(readme: Path) -> list[str]:
    """Names in the first column of every table that is headed `file` or `folder`, as they are written."""
    names, is_list = [], False
    for line in readme.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.split("|")] if line.startswith("|") else []
        if not cells:
            is_list = False
        elif cells[1] in ("file", "folder"):
            is_list = True
        elif is_list and set(cells[1]) - set("-: "):
            names += re.findall(r"`([^`]+)`", cells[1]) + [f"{name}/" for name in re.findall(r"\[(.+?)\]", cells[1])]
    return names


def anchors_of(readme: Path) -> set[str]:
    """Anchors of a file's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", readme.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_there_are_code_folders_and_lists():
    assert len(code_folders()) > 10
    assert all(listed_in(folder / "README.md") for folder in code_folders())


@pytest.mark.parametrize("readme", markdown_files(), ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_every_listed_file_exists(readme):
    missing = [name for name in listed_in(readme) if not any(readme.parent.glob(name))]
    assert not missing, f"{readme} lists files that do not exist: {', '.join(missing)}"


@pytest.mark.parametrize("folder", code_folders(), ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_every_file_of_a_code_folder_is_listed(folder):
    unlisted = code_in(folder) - set(listed_in(folder / "README.md"))
    assert not unlisted, f"{folder / 'README.md'} does not list {', '.join(sorted(unlisted))}"


@pytest.mark.parametrize("readme", markdown_files(), ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_every_relative_link_resolves(readme):
    for link in map("".join, LINK.findall(CODE.sub("", readme.read_text(encoding="utf-8")))):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = readme.parent / name if name else readme
        assert target.exists(), f"{readme} links to {link}, which does not exist"
        if anchor:
            assert anchor in anchors_of(target), f"{readme} links to {link}, but {target.name} has no such heading"


def test_the_changelog_begins_with_the_version():
    newest = re.search(r"^## ([\d.]+)", (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert newest[1] == project["version"] == mimicbrush.__version__


def test_modules_of_the_changelog_are_where_it_says():
    lines = (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()
    moved = [line.split("|")[2] for line in lines if re.match(r"\| `(?:mimicbrush|data_prep)\.", line)]
    names = [name for cell in moved for name in re.findall(r"`((?:mimicbrush|data_prep)\.[\w.]+)`", cell)]
    paths = [REPOSITORY / name.replace(".", "/") for name in names]
    assert len(paths) > 40
    assert not [str(path) for path in paths if not path.is_dir() and not path.with_suffix(".py").exists()]


def test_the_front_page_is_short():
    lines = (REPOSITORY / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= MAX_FRONT_PAGE_LINES


def test_the_tree_of_the_front_page_names_every_folder_with_a_readme():
    named = {name.rstrip("/") for name in listed_in(REPOSITORY / "README.md")}
    folders = [folder for folder in code_folders() if folder.parent.name in ("", "mimicbrush")]
    assert {str(folder.relative_to(REPOSITORY)) for folder in folders} <= named


def test_the_hours_of_a_full_run_follow_from_the_counted_operations():
    """100 000 steps of 64 images at 40 % of an H100's 989 TFLOP/s."""
    text = (REPOSITORY / "configs" / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| [^|]+ \| (\d\.\d\d) \| (\d+) \|$", text, re.MULTILINE)
    assert len(rows) > 4
    for tflop, hours in rows:
        assert int(hours) == round(100_000 * 64 * float(tflop) / (0.40 * 989) / 3600)
