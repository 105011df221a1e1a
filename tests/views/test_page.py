"""The page without a kernel, as text: complete, escaped, closed, the same for equal runs; the browser tests step it."""

import gzip
import json
import re

import pytest

import p2plab
from p2plab import find
from p2plab.core.actors import step
from p2plab.core.errors import BadInput
from p2plab.core.run import Run
from p2plab.core.token import token_of
from p2plab.views import page as page_module
from p2plab.views.page import page
from p2plab.views.stage import moments
from p2plab.views.stage.wire import changes, moment_json, objects_of
from p2plab.views.text import board_of
from tests.views.boards import boards


def without_script(text: str) -> str:
    return re.sub(r"<script type=\"module\">.*?</script>", "", text, flags=re.S)


def test_first_and_later_give_back_every_state():
    """What changed, put on top of what was, is what is; and the changes are much smaller than the states."""
    run = p2plab.run("defrag-ignorant")
    objects = objects_of(run)
    whole = [moment_json(moment, objects) for moment in moments(run)]
    first, later = changes(iter(whole))
    state = dict(first)
    for step_number, change in enumerate(later, 1):
        for name, new in change.items():
            if isinstance(new, dict) and isinstance(state[name], list):
                patched = list(state[name])
                for place, value in new["at"].items():
                    patched[int(place)] = value
                state[name] = patched
            else:
                state[name] = new
        assert state == whole[step_number]
    assert 3 * len(json.dumps([first, later])) < len(json.dumps(whole))


def test_boards_read_once_are_those_of_each_step():
    """The log is read once for all steps; no board differs from one that was judged for its step alone."""
    run = p2plab.run("defrag-ignorant")
    for number, board in enumerate(boards(run)):
        alone = board_of(run, number)
        assert board.findings == alone.findings
        assert [board.state(rule) for rule in board.rules] == [alone.state(rule) for rule in alone.rules]


def test_equal_runs_give_equal_pages():
    """Whatever else has been drawn in between."""
    assert page(p2plab.run("defrag-obedient")) == page(p2plab.run("defrag-obedient"))


def test_a_page_is_closed_small_and_says_how_large_it_is():
    """No address is loaded, a policy forbids it, and what it holds is a small part of what a drawing library takes."""
    text = page(p2plab.run("defrag-ignorant"))
    plain = without_script(text)
    assert "default-src 'none'" in plain.replace("&#x27;", "'")
    assert not re.search(r"<(link|img|iframe|script[^>]*src)\b", plain)
    assert token_of(p2plab.run("defrag-ignorant")) in plain
    (module, data) = re.search(r"It holds (\d+) kB of script and (\d+) kB", plain).groups()
    assert 1000 * (int(module) + int(data)) < len(text.encode()) < 1000 * (int(module) + int(data)) + 60_000
    assert len(gzip.compress(text.encode())) < 60_000


def test_words_of_a_run_cannot_become_markup(monkeypatch):
    """A scene's title, a step's label, a file's name: the end of a script or a comment is only text."""
    import dataclasses

    nasty = "</script><!--<img src=x onerror=alert(1)>"

    def build(world, settings):
        find("defrag-ignorant").build(world, settings)

        async def go() -> None:
            await step(nasty)

        world.actor("eve", go)

    scene = dataclasses.replace(find("defrag-ignorant"), title=nasty, about=nasty, build=build)
    text = page(Run(scene).then("eve"))
    assert text.count("</script>") == 2
    assert "<img" not in without_script(text)
    assert "<!--" not in text
    data = re.search(r'<script type="application/json" id="run">(.*?)</script>', text, re.S).group(1)
    assert nasty in json.loads(data)["later"][0]["alt"]


def test_a_run_too_long_to_step_through_is_refused(monkeypatch):
    """With how many steps it has, and how many a page can hold."""
    monkeypatch.setattr(page_module, "MOST_STEPS", 10)
    with pytest.raises(BadInput, match="the run has 36 steps; a page that steps through it holds at most 10"):
        page(p2plab.run("defrag-ignorant"))
