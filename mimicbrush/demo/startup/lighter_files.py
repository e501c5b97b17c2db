"""Gradio's files without what this page never uses, and our scripts without comments: each byte counts on a slow line.

A file of another form, for instance of another version of Gradio, stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import gradio

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

ASSETS = Path(gradio.__file__).parent / "templates" / "frontend" / "assets"
HANDLEBARS = re.compile(
    r"var \w+=\w+\(\(\w+=>\{\w+\.__esModule=!0,\w+\.extend=.*?,"
    r"(\w+)=\w+\(\w+\(\(\((\w+),\w+\)=>\{.*?\.exports=\2\.default\}\)\)\(\)\),",
    re.DOTALL,
)
EXPORTS = re.compile(r"export\{([^{}]*)\};?\s*$")
LOADS_FFMPEG = re.compile(r"return await (\w+)\.load\((\{coreURL:.*?\})\),\1\}")
FFMPEG_FILE = re.compile(r"(ffmpeg-core\.(?:js|wasm))`")
FFMPEG_VERSION = gradio.__version__
"""FFmpeg's files keep their names when Gradio brings others."""
FETCHES_FOR_FRAMES = re.compile(
    r"(iframeResizer\.contentWindow(?:(?!</script>).)*)document\.head\.appendChild\(script\);", re.DOTALL
)
INDENT_AND_COMMENT = re.compile(r"^[ \t]*(?://.*\n)?", re.MULTILINE)


def without_handlebars(text: str) -> str:
    """Remove Handlebars from the HTML component: half a second on a slow line, and no template of the page uses it."""
    return HANDLEBARS.sub(r"var \1={default:{compile:text=>()=>text}},", text, count=1)


def doing_nothing(text: str) -> str:
    """Replace what a script exports by functions that do nothing."""
    exports = EXPORTS.search(text)
    if exports is None:
        return text
    names = ",".join(f"none as {each.split()[-1]}" for each in exports[1].split(","))
    return f"const none=()=>{{}};export{{{names}}};"


def with_late_ffmpeg(text: str) -> str:
    """Let the player of clips fetch FFmpeg (32 MB) when a clip is trimmed, not with the first clip.

    The page is told by events: `ffmpegwanted`, then `ffmpegready`, also where it could not be fetched.
    """
    late = (
        r"const write=\1.writeFile;return \1.writeFile=async(...file)=>{"
        r"if(!\1.loaded){dispatchEvent(new Event(`ffmpegwanted`));"
        r"try{await \1.load(\2)}finally{dispatchEvent(new Event(`ffmpegready`))}}return write(...file)},\1}"
    )
    return FFMPEG_FILE.sub(rf"\1?v={FFMPEG_VERSION}`", LOADS_FFMPEG.sub(late, text, count=1))


LIGHTER: dict[str, Callable[[str], str]] = {
    "HTML-": without_handlebars,
    "HistoryStorageControl-": doing_nothing,  # of pages that Hugging Face hosts
    "hls-": doing_nothing,  # 156 kB that come with every gallery: no clip here is a stream
    "Video-": with_late_ffmpeg,
}
"""Changes to files whose names begin like this."""


def lighter_file(name: str) -> str | None:
    """The text of one of Gradio's files that this page changes; None for the others."""
    is_changed = name.startswith(tuple(LIGHTER)) and re.fullmatch(r"[\w-]+\.js", name) and (ASSETS / name).is_file()
    return _lighter(name) if is_changed else None


@cache
def lighter_versions() -> dict[str, str]:
    """Digests of the files that this page changes, by name: Gradio's names stay when our changes do not."""
    texts = {path.name: lighter_file(path.name) for path in sorted(ASSETS.glob("*.js"))}
    return {name: sha256(text.encode()).hexdigest()[:16] for name, text in texts.items() if text is not None}


@cache
def _lighter(name: str) -> str:
    """Change a file that is there; visitors may ask for any name, and only these texts are kept."""
    change = next(each for beginning, each in LIGHTER.items() if name.startswith(beginning))
    return change((ASSETS / name).read_text(encoding="utf-8"))


def without_iframe_script(page: str) -> str:
    """Leave out the script for pages in frames: no site may show this page in one."""
    return FETCHES_FOR_FRAMES.sub(r"\1", page, count=1)


def read_script(path: Traversable) -> str:
    """Read a script of ours, without indentation and lines that are comments."""
    return INDENT_AND_COMMENT.sub("", path.read_text(encoding="utf-8"))
