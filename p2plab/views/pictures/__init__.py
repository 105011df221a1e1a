"""The pictures of a run: each is a file with a ``PICTURE``; nothing else names it.

The lab's drawer draws them, the saved page says them in words, and the tests try each on every scene.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

from p2plab.core.collect import modules
from p2plab.views.picture import RunPicture

#: The order in which they are offered. A picture that is not listed comes last.
_ORDER = ("timeline", "bar-map", "call-graph", "pci-tree", "memory")


def _place(picture: RunPicture) -> tuple[int, str]:
    return (_ORDER.index(picture.name) if picture.name in _ORDER else len(_ORDER)), picture.name


#: Every picture of a run by its name.
PICTURES: Mapping[str, RunPicture] = {
    picture.name: picture
    for picture in sorted(
        (module.PICTURE for module in modules(sys.modules[__name__]) if hasattr(module, "PICTURE")), key=_place
    )
}
