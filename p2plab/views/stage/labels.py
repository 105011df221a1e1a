"""What the buttons say: the sentence above the picture calls an action as its button does."""

from __future__ import annotations

from typing import Any

#: What an action's button says, where its name alone would not do.
LABELS = {"dma": "start DMA"}


def label_of(name: str, action: Any) -> str:
    """The words on the button of a world's action."""
    said: str = action.label if action.label != name else LABELS.get(name, name)
    return said
