"""The lab as an app of its own: a link's ``?token=…`` opens that run, ``?scene=…`` that scene."""

from __future__ import annotations

import os
from urllib.parse import parse_qs

from p2plab.core.errors import BadInput
from p2plab.lab.lab import Lab

#: What a link without anything shows.
SCENE = "workbench"


def app(query: str | None = None) -> Lab:
    """The lab that a link's query asks for (Voila hands it to the kernel); a query that cannot be opened is said."""
    words = parse_qs(os.environ.get("QUERY_STRING", "") if query is None else query)
    token, scene = (words.get(name, [""])[-1] for name in ("token", "scene"))
    try:
        return Lab(scene or SCENE, token)
    except BadInput as error:
        lab = Lab(SCENE)
        lab.guard.show(error)
        return lab
