"""The editors of the tab for clips with an atlas: the page's editor for references, and layers from prompts."""

from __future__ import annotations

from collections.abc import Iterator

from mimicbrush.demo.edit_queue import StoppedError
from mimicbrush.demo.shared_editor import SharedEditor, Update
from mimicbrush.edit.config import EditConfig
from mimicbrush.edit.editing import Loaded, load_editor
from mimicbrush.edit.kinds.layer_edit import LayerEditConfig


class LayersOverClips(SharedEditor):
    """Draws layers over clips; CLIP and atlas are loaded for each edit, which takes much longer than loading them."""

    def editor_of(self, config: EditConfig) -> Loaded:
        return load_editor(config)


class ClipEditors:
    """Sends an edit of a clip to the editor of its kind.

    shared: the editor of the page's tab for references, which the atlas's editor then asks for one frame.
    """

    def __init__(self, shared: SharedEditor) -> None:
        limits, queue = shared.limits, shared.queue
        # Of their own, so that Stop on one tab stops no edit of the other.
        self.references = SharedEditor(shared.loaded, limits, queue)
        self.layers = LayersOverClips(None, limits, queue)

    def edit(self, config: EditConfig, *, visitor: str) -> Iterator[Update]:
        """Run an edit and yield reports, like `SharedEditor.edit`."""
        editor = self.layers if isinstance(config, LayerEditConfig) else self.references
        return editor.edit(config, visitor=visitor)

    def stop(self, visitor: str, reason: type[StoppedError] = StoppedError) -> None:
        """Stop the waiting and running edits of a visitor at their next step."""
        for editor in (self.references, self.layers):
            editor.stop(visitor, reason)
