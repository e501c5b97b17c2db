"""No module imports another that imports it in turn, not even for its types alone.

`make lint` looks at imports that run. A circle of imports for types is a circle for the reader all the same.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path

from tests.conftest import REPOSITORY


def module_name(path: Path, root: Path) -> str:
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def import_graph(root: Path, packages: tuple[str, ...]) -> dict[str, set[str]]:
    """Modules that each module imports anywhere in its file; the `__init__.py` of a package counts as a module."""
    paths = {module_name(path, root): path for package in packages for path in (root / package).rglob("*.py")}
    graph = {}
    for name, path in paths.items():
        imported = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {each.name for each in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                submodules = {f"{node.module}.{each.name}" for each in node.names}
                imported |= submodules & paths.keys() or {node.module}
        graph[name] = (imported & paths.keys()) - {name}
    return graph


def find_circles(graph: Mapping[str, set[str]]) -> set[frozenset[str]]:
    """Groups of modules that reach one another."""
    reachable = {}
    for name in graph:
        reached, waiting = set(), [name]
        while waiting:
            new = graph[waiting.pop()] - reached
            reached |= new
            waiting += new
        reachable[name] = reached
    return {
        frozenset(other for other in reachable[name] if name in reachable[other])
        for name in graph
        if name in reachable[name]
    }


def test_the_project_has_no_import_circle() -> None:
    graph = import_graph(REPOSITORY, ("mimicbrush", "data_prep"))
    assert len(graph) > 200
    assert find_circles(graph) == set()


def test_a_circle_is_found_also_if_one_arrow_is_for_types(tmp_path: Path) -> None:
    files = {
        "package/__init__.py": "",
        "package/a.py": "from package import b",
        "package/b.py": "def late():\n    import package.c",
        "package/c.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from package.a import A",
        "package/d.py": "from package.a import A\nimport os",
    }
    (tmp_path / "package").mkdir()
    for name, code in files.items():
        (tmp_path / name).write_text(code)
    assert find_circles(import_graph(tmp_path, ("package",))) == {frozenset({"package.a", "package.b", "package.c"})}
