"""Runs in an address: what a link carries is the run, small ones in the link itself, large ones as a file."""

import base64
import gzip
import json

import pytest

import p2plab
from p2plab.core.errors import BadInput
from p2plab.views import links
from p2plab.views.page import POLICY, stage_data


def unpacked(text: str) -> object:
    return json.loads(gzip.decompress(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))))


def test_a_shipped_story_is_named_and_any_other_run_travels():
    """By name and step; with other knobs or another order by its moments."""
    assert links.fragment(p2plab.run("defrag-ignorant"), 24) == "#defrag-ignorant@24"
    run = p2plab.run("defrag-ignorant", seed=3)
    text = links.fragment(run, 7)
    assert text.startswith("#z=")
    assert text.endswith("@7")
    assert len(text) < 11_000


def test_what_travels_and_the_shipped_story_give_the_run_back():
    """Put together as the page puts them together, it is the whole data of a saved page."""
    run = p2plab.run("defrag-obedient", pages=2, seed=5)
    data = unpacked(links.fragment(run)[3:].partition("@")[0])
    assert isinstance(data, dict)
    base = stage_data(links.told("defrag-obedient"))
    whole = {
        "scene": {**base["scene"], **data["scene"]},
        "run": data["run"],
        "first": {**base["first"], **data["first"]},
        "later": data["later"],
    }
    assert json.dumps(whole, sort_keys=True) == json.dumps(stage_data(run), sort_keys=True)
    assert data["token"] == run.token


def test_what_is_too_large_for_a_mail_goes_as_a_file(monkeypatch):
    """The sentence has both sizes and what to do."""
    monkeypatch.setattr(links, "MOST", 1000)
    with pytest.raises(BadInput, match=r"gzipped; a link carries at most 1,000: send the file that --html writes"):
        links.fragment(p2plab.run("defrag-ignorant", seed=3))


def test_a_scene_of_another_version_is_told_apart():
    """The digest is of the scene's words and its first moment."""
    data = stage_data(links.told("e4-refuses-later"))
    digest = links._digest(data)
    data["scene"]["about"] += "!"
    assert links._digest(data) != digest


def test_a_page_with_python_asks_its_own_server_only():
    """A worker of the same site and nothing else; without Python nobody at all."""
    assert "worker-src" not in POLICY
    assert f"{POLICY}; worker-src 'self'" == links.WITH_PYTHON
    assert POLICY.startswith("default-src 'none'; ")
    assert "http" not in POLICY


def test_python_behind_a_page_answers_with_the_run_or_a_sentence():
    """As JSON, text and all."""
    token = p2plab.run("workbench", schedule="!mmap app*2").token
    said = json.loads(links.opened(token))
    assert (said["token"], said["scene"]["name"]) == (token, "workbench")
    assert said["text"].startswith("workbench (version ")
    with pytest.raises(BadInput, match="the token is damaged"):
        links.opened("p2p1.nonsense")
