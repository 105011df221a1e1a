"""Runs in the address of a page: a page that holds every shipped story, and a run that travels in a link's fragment.

``page.html#NAME@STEP`` opens a shipped story, ``page.html#z=DATA@STEP`` a run that came with the link: its moments, gzipped,
as far as they differ from the shipped story of its scene. Neither asks a server or a kernel for anything.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from p2plab.catalog import CASES
from p2plab.core.errors import BadInput
from p2plab.core.run import Run
from p2plab.core.token import open_token, token_of
from p2plab.everything import SCENES, find
from p2plab.views.page import POLICY, document, other_pictures, settings, stage_data
from p2plab.views.text import story

Json = dict[str, Any]

#: The page of all stories opens with this one.
OPENS = "defrag-ignorant"
#: Bytes of gzipped moments that a link may carry: mails and address bars take an address of that length.
MOST = 8_192
#: What a page with Python behind it may do: start a worker from its own site.
WITH_PYTHON = f"{POLICY}; worker-src 'self'"


def told(name: str) -> Run:
    """A shipped scene in its own story, with its knobs as they are."""
    return Run(SCENES[name]).told()


def stories_page(
    python: str = "",
    above: str = "",
    below: str = "",
    progress: Callable[[int, int, str], None] | None = None,
    told_in_beats: Json | None = None,
) -> str:
    """One file with every shipped story; the arguments as of :func:`p2plab.views.page.document`.

    ``told_in_beats``: the notebooks' stories, by their numbers, as ``{"title", "beats": [{"name" or "run", "step", "words",
    "picture"}]}``: ``name`` is a shipped scene's, ``run`` what :func:`carried` makes. ``progress`` gets the number of stories
    done, the total, and the next story.
    """
    parts = _Parts()
    stories = {}
    for number, name in enumerate(SCENES):
        if progress is not None:
            progress(number, len(SCENES), name)
        run = told(name)
        data = _saved(run)
        digest = _digest(data)
        scene = data["scene"]
        scene["rules"] = {rule: parts.place(card) for rule, card in scene["rules"].items()}
        scene["drivers"] = {driver: parts.place(lines) for driver, lines in scene["drivers"].items()}
        scene["actions"], scene["terms"] = parts.place(scene["actions"]), parts.place(scene["terms"])
        stories[name] = [_packed(data), digest, data["token"]]
    codes = {code: case.scenario.name for code, case in CASES.items()}
    table = {"opens": OPENS, "codes": codes, "parts": _packed(parts.values), "stories": stories}
    policy = WITH_PYTHON if python else POLICY
    data = {"stories": table} if told_in_beats is None else {"stories": table, "told": told_in_beats}
    return document(told(OPENS), data, policy=policy, python=python, above=above, below=below)


def fragment(run: Run, step: int | None = None) -> str:
    """The end of an address that opens this run, ``#`` included; at its last step unless ``step`` is given.

    A shipped story by its name, any other run by its moments. :exc:`BadInput` for one that is too large to travel in a link.
    """
    at = len(run) if step is None else step
    name = run.scenario.name
    if shipped(run):
        return f"#{name}@{at}"
    data = carried(run)
    size = len(data) * 3 // 4
    if size > MOST:
        raise BadInput(
            f"the run's moments are {size:,} bytes, gzipped; a link carries at most {MOST:,}: "
            "send the file that --html writes, or the token"
        )
    return f"#z={data}@{at}"


def shipped(run: Run) -> bool:
    """Whether a page of all stories holds the run."""
    name = run.scenario.name
    return name in SCENES and SCENES[name] is run.scenario and told(name) == run


def carried(run: Run) -> str:
    """A run's moments in one word, of any size: what follows ``#z=`` in a link."""
    return _packed(_difference(run))


def packed(run: Run) -> str:
    """As :func:`carried`, and with all that the page shows of it: no page of all stories is needed to open it."""
    return _packed(_saved(run))


def opened(token: str) -> str:
    """The run of a token as JSON for ``page.js``: the answer of Python behind a page. Raises as :func:`open_token`."""
    return json.dumps(_saved(open_token(token, find)), ensure_ascii=False)


def _saved(run: Run, text: bool = True) -> Json:
    """All that the page shows of a run."""
    shared = not run.scenario.cast and not run.scenario.needs
    token = token_of(run) if shared else ""
    words = {"text": story(run), "pictures": other_pictures(run)} if text else {"text": "", "pictures": []}
    return {**stage_data(run), "token": token, "said": settings(run), **words}


def _difference(run: Run) -> Json:
    """A run without what the shipped story of its scene also has; whole where there is none."""
    data = _saved(run, text=False)
    name = run.scenario.name
    if SCENES.get(name) is not run.scenario:
        return data
    base = _base(name)
    for part in ("scene", "first"):
        data[part] = {key: value for key, value in data[part].items() if base[part].get(key) != value}
    return {"of": name, "base": _digest(base), **data}


@cache
def _base(name: str) -> Json:
    return stage_data(told(name))


def _digest(data: Mapping[str, Any]) -> str:
    """A digest that distinguishes the scene and its first moment from those of another version."""
    text = json.dumps([data["scene"], data["first"]], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _packed(value: Any) -> str:
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return base64.urlsafe_b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode().rstrip("=")


class _Parts:
    """Values that many stories share, each kept once."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self._places: dict[str, int] = {}

    def place(self, value: Any) -> int:
        """Where it is in :attr:`values`."""
        key = json.dumps(value, sort_keys=True)
        if key not in self._places:
            self._places[key] = len(self.values)
            self.values.append(value)
        return self._places[key]
