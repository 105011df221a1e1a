"""One Bokeh figure in a notebook: the whole state travels in traits, so any new view shows the model as it is now.

jupyter_bokeh's widget shows the first state in a second view and after a reload: see DESIGN.md, "Pictures". BokehJS comes
from the kernel as one message per page load: no CDN is asked, and nothing of it is saved. Bokeh is
imported with the first figure: the stage needs none.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from p2plab.views.leaves_out import LEAVES_OUT
from p2plab.views.picture import Picture
from p2plab.views.styles import DARK, styled

_HERE = Path(__file__).parent


#: Runs in the browser when a picture is clicked; pane.js hears it. There is one window for all labs, hence the key.
_TAP = 'window.dispatchEvent(new CustomEvent("p2plab-tap", {detail: {key, x: cb_obj.x, y: cb_obj.y}}))'


class BokehPane(anywidget.AnyWidget):
    """Shows a figure made once. :meth:`show` is the only way in; only clicks into the picture come back."""

    _esm = _HERE / "pane.js"
    _css = styled(_HERE / "pane.css")
    version = traitlets.Unicode().tag(sync=True)
    #: The figure's JSON as text: on its way from Python in a browser, a None inside a dict is lost.
    item = traitlets.Unicode().tag(sync=True)
    name = traitlets.Unicode().tag(sync=True)
    alt = traitlets.Unicode().tag(sync=True)
    columns: traitlets.List[str] = traitlets.List().tag(sync=True)
    seq = traitlets.Int().tag(sync=True)
    key = traitlets.Unicode().tag(sync=True)
    #: The colours of the light theme, each with its dark one.
    dark: traitlets.Dict[str, str] = traitlets.Dict(dict(DARK)).tag(sync=True)
    leaves_out: traitlets.List[str] = traitlets.List().tag(sync=True)

    def __init__(
        self, name: str, figure: Any, picture: Picture, tapped: Callable[[float, float], None] | None = None
    ) -> None:
        """``tapped(x, y)`` gets clicks into the picture, in the figure's units."""
        import bokeh

        self._tapped = tapped
        key = secrets.token_hex(8)
        columns = _columns(picture)
        self.add_traits(**{name: traitlets.List().tag(sync=True) for name in columns})
        super().__init__(
            item=self._item_of(figure, key),
            version=bokeh.__version__,
            name=name,
            alt=picture.alt,
            columns=list(columns),
            seq=1,
            key=key,
            leaves_out=LEAVES_OUT,
            **columns,
        )
        self.picture = picture
        self.on_msg(self._asked)

    @property
    def data(self) -> dict[str, dict[str, list[Any]]]:
        """The shown columns, by source."""
        return self.picture.data

    def show(self, picture: Picture, figure: Any = None) -> None:
        """Show another state; with ``figure``, in another figure (the scene changed). Unchanged columns are not sent."""
        if figure is None and picture == self.picture:
            return
        self.picture = picture
        with self.hold_sync():
            if figure is not None:
                self.item = self._item_of(figure, self.key)
            self.alt = picture.alt
            for name, values in _columns(picture).items():
                self.set_trait(name, values)
            self.seq += 1

    def _asked(self, _widget: Any, message: dict[str, Any], _buffers: Any) -> None:
        if message.get("kind") == "need-bokehjs":
            self.send({"kind": "bokehjs"}, [_bokehjs().read_bytes()])
        elif message.get("kind") == "tap" and self._tapped is not None:
            self._tapped(float(message["x"]), float(message["y"]))

    def _item_of(self, figure: Any, key: str) -> str:
        from bokeh.embed import json_item
        from bokeh.models import CustomJS

        if self._tapped is not None:
            figure.js_on_event("tap", CustomJS(args={"key": key}, code=_TAP))
        return json.dumps(json_item(figure))


def _bokehjs() -> Path:
    """The drawing library for the browser, as it comes with Bokeh."""
    import bokeh

    return Path(bokeh.__file__).parent / "server" / "static" / "js" / "bokeh.min.js"


def _columns(picture: Picture) -> dict[str, list[Any]]:
    """Every column under the name of its trait, ``source.column``: an unchanged one is not sent again."""
    return {
        f"{source}.{column}": values for source, columns in picture.data.items() for column, values in columns.items()
    }
