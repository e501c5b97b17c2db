"""Only `mimicbrush.pictures` opens, converts and writes pictures, as the source of every other module shows."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "mimicbrush" / "pictures"
EXEMPT = {
    # The script that preparation is compared with does not use this project's code.
    ROOT / "mimicbrush" / "bench" / "naive_preparation.py",
}
FORBIDDEN_NAMES = (
    "PIL.Image.fromarray",
    "PIL.Image.frombuffer",
    "PIL.Image.frombytes",
    "PIL.Image.open",
    "PIL.ImageCms",
    "PIL.ImageFile",
    "PIL.ImageOps.exif_transpose",
    "PIL.PngImagePlugin",
    "cv2.imdecode",
    "cv2.imencode",
    "cv2.imread",
    "cv2.imwrite",
    "imageio",
    "matplotlib.image",
    "skimage.io",
    "tifffile",
    "torchvision",
)
"""Full names of modules and functions that only this package may use."""
FORBIDDEN_METHODS = frozenset({"draft", "getexif", "save", "thumbnail"})
"""Methods of PIL pictures."""
NOT_PICTURES = frozenset({"numpy.save", "torch.save"})
"""Functions with these names that do not write pictures."""


def sources() -> list[Path]:
    found = [*ROOT.glob("*.py"), *(ROOT / "mimicbrush").rglob("*.py"), *(ROOT / "data_prep").rglob("*.py")]
    return [path for path in found if path not in EXEMPT and not path.is_relative_to(PACKAGE)]


def full_names(tree: ast.AST) -> dict[str, str]:
    """Full names of imported names: {Image: PIL.Image, ...}."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for each in node.names:
                package = each.name.partition(".")[0]
                names |= {each.asname: each.name} if each.asname else {package: package}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {each.asname or each.name: f"{node.module}.{each.name}" for each in node.names}
    return names


def dotted(node: ast.expr, names: dict[str, str]) -> str:
    """`PIL.Image.open` for `Image.open`; empty if the expression is not a dotted name."""
    if isinstance(node, ast.Name):
        return names.get(node.id, node.id)
    owner = dotted(node.value, names) if isinstance(node, ast.Attribute) else ""
    return owner and f"{owner}.{node.attr}"


def is_forbidden(name: str) -> bool:
    return f"{name}.".startswith(tuple(f"{forbidden}." for forbidden in FORBIDDEN_NAMES))


def breaches(code: str) -> Iterator[str]:
    tree = ast.parse(code)
    names = full_names(tree)
    yield from (f"imports {name}" for name in names.values() if is_forbidden(name))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            name = dotted(node, names)
            if is_forbidden(name) or (node.attr in FORBIDDEN_METHODS and name not in NOT_PICTURES):
                yield f"line {node.lineno}: {name or node.attr}"


def test_no_other_module_opens_converts_or_writes_pictures():
    found = {str(path.relative_to(ROOT)): list(breaches(path.read_text(encoding="utf-8"))) for path in sources()}
    assert len(found) > 200
    assert {path: lines for path, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "code",
    [
        "from PIL import Image\nImage.open(path)",
        "import PIL.Image\nPIL.Image.open(path)",
        "from PIL import Image as I\nread = I.fromarray",
        "from cv2 import imread",
        "import cv2 as cv\ncv.imwrite(path, image)",
        "def show():\n    import skimage.io as io\n    return io.imread(path)",
        "picture.save(path)",
        "from PIL.ImageOps import exif_transpose",
        "to_pil(image).thumbnail((9, 9))",
    ],
)
def test_a_breach_is_found_however_it_is_written(code):
    assert list(breaches(code))


def test_drawing_and_resizing_are_allowed():
    lines = (
        "from PIL import Image, ImageDraw",
        "import cv2, torch",
        "Image.new('RGB', (1, 1)).resize((2, 2))",
        "torch.save(weights, path)",
        "cv2.resize(image, size)",
    )
    assert not list(breaches("\n".join(lines)))
