"""Links to a published copy: where they lead, and what they refuse to lead to."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from p2plab.core.token import token_of
from p2plab.lab.app import app
from p2plab.lab.session import Session
from ways.publish.links import Place, main, markdown, titles

ROOT = Path(__file__).parents[2]


def test_every_notebook_has_its_link_to_a_release():
    """Binder's server opens the file that is there; nothing in the link names a branch."""
    place = Place("gh/OWNER/REPO", "v0.1.0")
    for name in titles():
        link = urlsplit(place.notebook(name))
        assert link.path == "/v2/gh/OWNER/REPO/v0.1.0"
        opened = parse_qs(link.query)["urlpath"][0]
        assert opened == f"lab/tree/notebooks/{name}"
        assert (ROOT / opened.removeprefix("lab/tree/")).is_file()
    assert len(titles()) == 14


def test_a_run_in_a_link_arrives_whole_beside_the_servers_login():
    """Unpacked as Binder unpacks it, with the login behind it, the app shows that run."""
    token = token_of(Session("defrag-ignorant").run)
    path = parse_qs(urlsplit(Place("gh/OWNER/REPO").app(token)).query)["urlpath"][0]
    assert path.startswith("voila/render/notebooks/app.ipynb?run=")
    assert (ROOT / "notebooks" / "app.ipynb").is_file()
    assert app(urlsplit(path).query + "&token=0a1b2c3d").session.token == token


def test_a_classs_link_names_repository_branch_and_notebook():
    """Unpacked as nbgitpuller unpacks it."""
    place = Place("git/https://git.example.org/course/p2plab.git", hub="https://hub.example.org/")
    link = urlsplit(place.on_hub("00-start-here.ipynb"))
    assert (link.netloc, link.path) == ("hub.example.org", "/hub/user-redirect/git-pull")
    assert parse_qs(link.query) == {
        "repo": ["https://git.example.org/course/p2plab.git"],
        "branch": ["class"],
        "urlpath": ["lab/tree/p2plab/notebooks/00-start-here.ipynb"],
    }


def test_other_hosts_are_named_as_binder_names_them():
    """A whole address is one part of the path."""
    link = urlsplit(Place("git/https://git.example.org/a/b", "1.2").on_binder("lab"))
    assert link.path.split("/")[2:] == ["git", "https%3A%2F%2Fgit.example.org%2Fa%2Fb", "1.2"]
    assert unquote(link.path.split("/")[3]) == Place("git/https://git.example.org/a/b").git_address()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["owner/repo"], "no repository"),
        (["gh/owner/repo?x=1"], "no repository"),
        (["gh/owner/repo", "--tag", "main"], "no release tag"),
        (["gh/owner/repo", "--tag", "HEAD"], "no release tag"),
        (["gh/owner/repo", "--hub", "javascript:alert(1)"], "no address"),
        (["gh/owner/repo", "--branch", "a&urlpath=b"], "no branch"),
    ],
)
def test_what_is_no_place_is_refused_with_a_sentence(arguments, said, capsys):
    """Exit 2, nothing printed that looks like a link."""
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert said in printed.err
    assert printed.out == ""


def test_the_list_begins_with_the_badge_and_names_every_notebook():
    """As Markdown, for a course page."""
    lines = list(markdown(Place("gh/OWNER/REPO", hub="https://hub.example.org")))
    assert lines[0].startswith(
        "[![Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/OWNER/REPO/v"
    )
    assert sum("urlpath=lab%2Ftree" in line and "mybinder" in line for line in lines) == 1 + 14
    assert sum("git-pull" in line for line in lines) == 14
