"""Rules of the code that no linter knows: where names are imported from, and how docstrings begin."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.conftest import REPOSITORY
from tests.test_import_circles import module_name

METHOD_FOLDERS = "mimicbrush.editors."
"""Packages in which the `__init__.py` of a method imports the names that a YAML gives for it."""
FILES_OF_EVERY_ROOM = {"__init__", "__main__", "config", "command", "preconditions", "editor", "settings"}
"""Names of files that hold the same thing in each room, for that room."""


def parse_modules(root: Path, packages: tuple[str, ...]) -> dict[str, ast.Module]:
    paths = (path for package in packages for path in (root / package).rglob("*.py"))
    return {module_name(path, root): ast.parse(path.read_text(encoding="utf-8")) for path in paths}


def second_hand_imports(modules: dict[str, ast.Module]) -> Iterator[str]:
    """Names that a module imports from another one, which only imports them itself."""
    imports = {
        name: [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)] for name, tree in modules.items()
    }
    imported = {
        name: {each.asname or each.name for node in nodes for each in node.names} for name, nodes in imports.items()
    }
    for name, nodes in imports.items():
        for node in nodes:
            if node.module in modules and not node.module.startswith(METHOD_FOLDERS):
                names = {each.name for each in node.names if f"{node.module}.{each.name}" not in modules}
                yield from (f"{name}: {each} of {node.module}" for each in sorted(names & imported[node.module]))


def docstrings(tree: ast.Module) -> Iterator[str]:
    """Every text that documents a module, a class, a function, or the name above it."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        for statement in body if isinstance(body, list) else []:
            if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
                yield str(statement.value.value)


def names_used_twice(names: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Names that occur more than once, with their modules; names: (name, module)."""
    places = defaultdict(list)
    for name, module in names:
        places[name].append(module)
    return {name: modules for name, modules in places.items() if len(modules) > 1}


def test_names_are_imported_from_the_file_that_defines_them() -> None:
    modules = parse_modules(REPOSITORY, ("mimicbrush", "data_prep", "tests"))
    assert len(modules) > 400
    assert list(second_hand_imports(modules)) == []


def test_a_second_hand_import_is_found() -> None:
    files = {
        "package": "from package.a import A",
        "package.a": "class A: ...",
        "package.b": "from package import A, a",
        "package.c": "from package.a import A",
    }
    modules = {name: ast.parse(code) for name, code in files.items()}
    assert list(second_hand_imports(modules)) == ["package.b: A of package"]


def test_docstrings_begin_with_neither_of_nor_what() -> None:
    modules = parse_modules(REPOSITORY, ("mimicbrush", "data_prep", "tests"))
    found = [(name, text) for name, tree in modules.items() for text in docstrings(tree)]
    assert len(found) > 2000
    assert [(name, text) for name, text in found if re.match(r"(Of|What|Whatever)\b", text)] == []


def test_no_two_classes_share_a_name() -> None:
    modules = parse_modules(REPOSITORY, ("mimicbrush", "data_prep"))
    classes = [
        (each.name, name) for name, tree in modules.items() for each in ast.walk(tree) if type(each) is ast.ClassDef
    ]
    assert len(classes) > 300
    assert names_used_twice(classes) == {}


def test_no_two_rooms_use_one_file_name_for_different_things() -> None:
    modules = parse_modules(REPOSITORY, ("mimicbrush", "data_prep"))
    packages = {name.rpartition(".")[0] for name in modules}
    files = [(name.rpartition(".")[2], name) for name in modules if name not in packages]
    assert names_used_twice(each for each in files if each[0] not in FILES_OF_EVERY_ROOM) == {}
