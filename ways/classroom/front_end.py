"""What a notebook page keeps of the kernel's widgets, and what it sends when somebody presses or chooses something."""

from __future__ import annotations

import html
import re

from ways.classroom.kernel import Kernel, Message

VIEW = "application/vnd.jupyter.widget-view+json"


class CellFailed(Exception):
    """A cell, or a widget's handler, ended with an error; the traceback's last line."""


class FrontEnd:
    """The models of a page, by id, as the widget manager of JupyterLab keeps them: states, updates, custom messages."""

    def __init__(self) -> None:
        self.models: dict[str, Message] = {}
        self.shown: list[str] = []  #: the models that cells displayed, in order
        self.errors: list[str] = []
        self.kernel: Kernel | None = None

    def hear(self, message: Message) -> None:
        """Take in one message of the kernel."""
        kind, content = message["type"], message["content"]
        if kind == "comm_open" and content["target_name"] == "jupyter.widget":
            self.models[content["comm_id"]] = dict(content["data"]["state"])
        elif kind == "comm_msg" and content["data"].get("method") in ("update", "echo_update"):
            self.models.setdefault(content["comm_id"], {}).update(content["data"]["state"])
        elif kind == "error":
            self.errors.append(f"{content['ename']}: {content['evalue']}")
        elif kind in ("execute_result", "display_data") and VIEW in content["data"]:
            self.shown.append(content["data"][VIEW]["model_id"])

    # -- what people do ---------------------------------------------------------------------------------------------

    async def run(self, code: str) -> None:
        """Run a cell. :exc:`CellFailed` where it raises."""
        assert self.kernel is not None
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": True}
        await self.kernel.ask("execute_request", content | {"stop_on_error": True})
        self._complain()

    async def press(self, button: str) -> None:
        """Click a button, by its words; wait until the kernel has answered."""
        await self._send(self.find("ButtonModel", button), {"method": "custom", "content": {"event": "click"}})

    async def choose(self, dropdown: str, option: str) -> None:
        """Choose an option of a dropdown, by their words."""
        model = self.find("DropdownModel", dropdown)
        state = {"index": self.models[model]["_options_labels"].index(option)}
        await self._send(model, {"method": "update", "state": state, "buffer_paths": []})

    async def _send(self, model: str, data: Message) -> None:
        assert self.kernel is not None
        await self.kernel.ask("comm_msg", {"comm_id": model, "data": data})
        self._complain()

    def _complain(self) -> None:
        if self.errors:
            raise CellFailed(self.errors[-1])
        refused = self.html("<b>That did not work.</b>")
        if refused:
            raise CellFailed(refused)

    # -- what people see --------------------------------------------------------------------------------------------

    def find(self, kind: str, words: str) -> str:
        """The newest model of a kind with these words on it, such as ``ButtonModel``. KeyError names what there is."""
        named = {
            state.get("description"): model for model, state in self.models.items() if state.get("_model_name") == kind
        }
        if words not in named:
            raise KeyError(f"no {kind} {words!r}; there are {sorted(filter(None, named))}")
        return named[words]

    def stage(self) -> str:
        """The words of the newest stage; empty where there is none."""
        moments = [state["moment"] for state in self.models.values() if "moment" in state and "seq" in state]
        return str(moments[-1].get("alt", "")) if moments else ""

    def visible(self, button: str) -> bool:
        """Whether a button is on the page."""
        layout = self.models[self.find("ButtonModel", button)]["layout"].removeprefix("IPY_MODEL_")
        return bool(self.models[layout].get("display") != "none")

    def view(self, name: str) -> str:
        """The words of one of the lab's parts: ``token``, ``verdict``…; empty where it is not shown."""
        return self.html(f'data-view="{name}"')

    def html(self, mark: str) -> str:
        """The words of the newest HTML widget whose markup has ``mark``; empty where there is none."""
        values = [str(state.get("value")) for state in self.models.values() if state.get("_model_name") == "HTMLModel"]
        marked = [value for value in values if mark in value]
        return words_of(marked[-1]) if marked else ""


def words_of(markup: str) -> str:
    """Markup as a person reads it: without tags, in single spaces."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", markup)).split())
