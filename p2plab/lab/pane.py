"""One Bokeh figure in a notebook: the whole state travels in traits, so any new view shows the model as it is now.

Measured against jupyter_bokeh's widget, whose second view and whose view after a reload show the first state: DESIGN.md,
"Pictures". BokehJS comes from the kernel as one message per page load: no CDN is asked, and nothing of it is saved.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anywidget
import bokeh
import traitlets
from bokeh.embed import json_item

from p2plab.views.picture import Picture

_HERE = Path(__file__).parent
_BOKEHJS = Path(bokeh.__file__).parent / "server" / "static" / "js" / "bokeh.min.js"


class BokehPane(anywidget.AnyWidget):  # type: ignore[misc]
    """Shows a figure made once; :meth:`show` is the only way in, and nothing comes back from the browser."""

    _esm = _HERE / "pane.js"
    _css = _HERE / "pane.css"
    version = traitlets.Unicode().tag(sync=True)
    item = traitlets.Dict().tag(sync=True)
    name = traitlets.Unicode().tag(sync=True)
    alt = traitlets.Unicode().tag(sync=True)
    data = traitlets.Dict().tag(sync=True)
    seq = traitlets.Int().tag(sync=True)

    def __init__(self, name: str, figure: Any, picture: Picture) -> None:
        item = json_item(figure)
        super().__init__(item=item, version=item["version"], name=name, alt=picture.alt, data=picture.data, seq=1)
        self.on_msg(self._asked)

    def show(self, picture: Picture, figure: Any = None) -> None:
        """Show another state; with ``figure``, in another figure (the scene changed)."""
        with self.hold_sync():
            if figure is not None:
                self.item = json_item(figure)
            self.alt = picture.alt
            self.data = picture.data
            self.seq += 1

    def _asked(self, _widget: Any, message: dict[str, Any], _buffers: Any) -> None:
        if message.get("kind") == "need-bokehjs":
            self.send({"kind": "bokehjs"}, [_BOKEHJS.read_bytes()])
