"""The lab as a separate app: a link's ``?run=…`` or ``?token=…`` opens that run, ``?scene=…`` that scene.

A link is data: it chooses among the known scenes, knobs and actions, and names no file, module or class.
"""

from __future__ import annotations

import os
import re
from urllib.parse import parse_qs

from p2plab.core.errors import BadInput
from p2plab.lab.lab import Lab

#: What a link without anything shows: a NIC that breaks its promise in three presses.
SCENE, IMPORTER = "workbench", "ignorant"

#: A Jupyter server with a login reads its own token from ``?token=`` too, and Binder adds it to every link.
_LOGIN = re.compile(r"(?!p2p1)[\w-]{1,200}")


def app(query: str | None = None) -> Lab:
    """The lab that a link's query asks for (Voila hands it to the kernel); a query that cannot be opened is reported."""
    words = parse_qs(_query() if query is None else query)
    runs = words.get("run") or [word for word in words.get("token", []) if not _LOGIN.fullmatch(word)]
    token, scene = (found[-1] if found else "" for found in (runs, words.get("scene")))
    try:
        return Lab(scene or SCENE, token) if scene or token else Lab(SCENE, importer=IMPORTER)
    except BadInput as error:
        lab = Lab(SCENE, importer=IMPORTER)
        lab.guard.show(error)
        return lab


def _query() -> str:
    """The query of the page's visitor. A kernel that Voila started before (``--preheat_kernel``) waits for it here."""
    if os.environ.get("VOILA_PREHEAT") == "True":
        from voila.utils import wait_for_request  # type: ignore[import-untyped]

        wait_for_request()
    return os.environ.get("QUERY_STRING", "")
